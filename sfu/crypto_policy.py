"""The named crypto policies: what a transport may negotiate, and in which order (DESIGN 5).

Data only; `sfu.dtls` and the web server enforce it. Restrict one for a test with
`dataclasses.replace`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Suite:
    """One DTLS 1.2 cipher suite."""

    iana: str
    openssl: str
    code: int  # IANA TLS cipher suite number


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """One DTLS-SRTP protection profile (RFC 5764 section 4.1.2, RFC 7714 section 14.2)."""

    iana: str  # without the "SRTP_" prefix, as reports and the relay name it
    openssl: str
    key_length: int  # bytes
    salt_length: int  # bytes


@dataclass(frozen=True, slots=True)
class Group:
    """One key exchange group."""

    name: str  # as reports name it
    openssl: str
    aliases: tuple[str, ...]  # every name OpenSSL reports it under, lower case
    code: int  # IANA TLS supported groups number


@dataclass(frozen=True, slots=True)
class PeerCertificateRules:
    """What a peer's certificate must be. Its dates and its issuer do not count (RFC 8827 6.5)."""

    curves: tuple[str, ...] = ("secp256r1", "secp384r1")
    rsa_bits: int = 2048
    # Fingerprint digests that prove an identity, weakest first; every one given must match.
    digests: tuple[str, ...] = ("sha-256", "sha-384", "sha-512")


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What WebSocket and HTTP may negotiate. Suites are OpenSSL names, server order."""

    minimum_version: str  # "TLSv1.2" or "TLSv1.3"
    suites_1_2: tuple[str, ...]
    suites_1_3: tuple[str, ...]
    groups: tuple[str, ...]
    rsa_bits: int = 2048
    curves: tuple[str, ...] = ("secp256r1",)


@dataclass(frozen=True, slots=True)
class CryptoPolicy:
    """Everything pinned about a media transport, and beside it the web server's TLS.

    DTLS is 1.2 only, server role. Tuples are in the server's order of preference, which decides.
    """

    name: str
    suites: tuple[Suite, ...]
    srtp_profiles: tuple[SrtpProfile, ...]
    groups: tuple[Group, ...]
    tls: TlsPolicy
    peer_certificate: PeerCertificateRules = PeerCertificateRules()

    def suite_name(self, openssl: str) -> str | None:
        """The IANA name of an accepted suite, None for any other."""
        return next((suite.iana for suite in self.suites if suite.openssl == openssl), None)

    def group_name(self, openssl: str) -> str | None:
        """The reported name of an accepted group, None for any other."""
        wanted = openssl.lower()
        return next((group.name for group in self.groups if wanted in group.aliases), None)

    def srtp_profile(self, openssl: str) -> SrtpProfile | None:
        """An accepted SRTP profile by OpenSSL's name, None for any other."""
        return next((one for one in self.srtp_profiles if one.openssl == openssl), None)


ECDHE_ECDSA_AES_128_GCM = Suite(
    iana="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    openssl="ECDHE-ECDSA-AES128-GCM-SHA256",
    code=0xC02B,
)
ECDHE_ECDSA_AES_256_CBC = Suite(
    iana="TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    openssl="ECDHE-ECDSA-AES256-SHA",
    code=0xC00A,
)

AEAD_AES_128_GCM = SrtpProfile(
    iana="AEAD_AES_128_GCM", openssl="SRTP_AEAD_AES_128_GCM", key_length=16, salt_length=12
)
AES128_CM_HMAC_SHA1_80 = SrtpProfile(
    iana="AES128_CM_HMAC_SHA1_80", openssl="SRTP_AES128_CM_SHA1_80", key_length=16, salt_length=14
)

X25519 = Group(name="X25519", openssl="X25519", aliases=("x25519",), code=29)
P_256 = Group(name="P-256", openssl="P-256", aliases=("p-256", "secp256r1", "prime256v1"), code=23)
P_384 = Group(name="P-384", openssl="P-384", aliases=("p-384", "secp384r1"), code=24)

# RFC 8446 section 9.1 makes AES-128-GCM mandatory for TLS 1.3, so it stays, last.
_TLS_1_3_SUITES = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
)

STANDARD = CryptoPolicy(
    name="standard",
    suites=(ECDHE_ECDSA_AES_128_GCM, ECDHE_ECDSA_AES_256_CBC),
    srtp_profiles=(AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80),
    groups=(X25519, P_256, P_384),
    tls=TlsPolicy(
        minimum_version="TLSv1.2",
        suites_1_2=(
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        suites_1_3=_TLS_1_3_SUITES,
        groups=("X25519", "P-256", "P-384"),
    ),
)

STRICT = CryptoPolicy(
    name="strict",
    suites=(ECDHE_ECDSA_AES_128_GCM,),
    srtp_profiles=(AEAD_AES_128_GCM,),
    groups=(X25519, P_256),
    tls=TlsPolicy(
        minimum_version="TLSv1.3",
        suites_1_2=(),
        suites_1_3=_TLS_1_3_SUITES,
        groups=("X25519", "P-256"),
    ),
)

_BY_NAME = {policy.name: policy for policy in (STANDARD, STRICT)}


def narrowed(
    policy: CryptoPolicy, suites: Collection[str], srtp_profiles: Collection[str]
) -> CryptoPolicy:
    """`policy` with only those suites and profiles (IANA names); an empty collection keeps all.

    Raises `ValueError` when nothing would be left: a narrowed policy never holds what the whole one
    does not.
    """
    left = replace(
        policy,
        suites=tuple(one for one in policy.suites if not suites or one.iana in suites),
        srtp_profiles=tuple(
            one for one in policy.srtp_profiles if not srtp_profiles or one.iana in srtp_profiles
        ),
    )
    if not left.suites or not left.srtp_profiles:
        raise ValueError(f"the policy {policy.name!r} has none of the suites or profiles named")
    return left


def by_name(name: str) -> CryptoPolicy:
    """The policy of that name. Raises `ValueError` naming the ones there are."""
    policy = _BY_NAME.get(name)
    if policy is None:
        raise ValueError(f"no crypto policy {name!r}; there are: {', '.join(_BY_NAME)}")
    return policy
