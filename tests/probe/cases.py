"""Which weakness fails which rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.probe.weak.strength import ECDSA_SUITES, SIGNATURES

GROUPS = "X25519:P-256:P-384"
PROFILES = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
GCM, CBC = ECDSA_SUITES.split(":")
DTLS_1_0 = 0xFEFF

# One row of each kind, run beside every case: what stands for "nothing else fails".
SENTINELS = (
    "version-dtls-1.0",
    "suite-ecdhe_ecdsa_with_aes_128_gcm_sha256",
    "suite-ecdhe_ecdsa_with_aes_256_cbc_sha",
    "suite-ecdhe_ecdsa_with_chacha20_poly1305_sha256",
    "suite-ecdhe_rsa_with_aes_128_gcm_sha256",
    "suite-order",
    "group-x448",
    "signature-ecdsa-sha1",
    "client-certificate-none",
    "server-certificate-fingerprint",
    "fingerprint-wrong",
    "extended-master-secret",
    "session-ticket",
    "address-wrong-password",
    "srtp-aes128-cm-hmac-sha1-32",
)


@dataclass(frozen=True)
class Case:
    """A weakness, and exactly those rows that fail over it."""

    name: str
    fails: frozenset[str]
    weakness: dict[str, Any] = field(default_factory=dict)
    untested: frozenset[str] = frozenset()


def _case(name: str, *fails: str, untested: tuple[str, ...] = (), **weakness: Any) -> Case:
    return Case(name, frozenset(fails), weakness, frozenset(untested))


CASES = (
    # versions
    _case("DTLS 1.0 is spoken", "version-dtls-1.0", oldest=DTLS_1_0),
    # suites
    _case(
        "the first suite is missing",
        "suite-ecdhe_ecdsa_with_aes_128_gcm_sha256",
        "suite-order",
        suites=CBC,
    ),
    _case("the second suite is missing", "suite-ecdhe_ecdsa_with_aes_256_cbc_sha", suites=GCM),
    _case("the suites are in another order", "suite-order", suites=f"{CBC}:{GCM}"),
    _case(
        "the client's order decides", "suite-order", "group-order", "group-p-384", own_order=False
    ),
    # groups
    _case("X25519 is missing", "group-x25519", "group-order", groups="P-256:P-384"),
    _case("P-384 comes before P-256", "group-p-384", groups="X25519:P-384:P-256"),
    _case(
        "the groups are in the opposite order",
        "group-order",
        "group-x25519",
        "group-p-384",
        groups="P-384:P-256:X25519",
    ),
    *(
        _case(f"{group} is taken", f"group-{group.lower()}", groups=f"X25519:{group}:P-256:P-384")
        for group in ("P-521", "X448", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
    ),
    # signatures
    _case(
        "ECDSA with SHA-256 is not signed with",
        "signature-ecdsa-secp256r1-sha256",
        signatures="ECDSA+SHA384:rsa_pss_rsae_sha256:RSA+SHA256",
    ),
    _case(
        "ECDSA with SHA-384 is not signed with",
        "signature-ecdsa-secp384r1-sha384",
        signatures="ECDSA+SHA256:rsa_pss_rsae_sha256:RSA+SHA256",
    ),
    _case(
        "ECDSA with SHA-512 is signed with",
        "signature-ecdsa-secp521r1-sha512",
        signatures=f"{SIGNATURES}:ECDSA+SHA512",
    ),
    _case(
        "ECDSA with SHA-224 is signed with",
        "signature-ecdsa-sha224",
        "signature-asked-of-clients",
        signatures=f"{SIGNATURES}:ECDSA+SHA224",
    ),
    _case(
        "ECDSA with SHA-1 is signed with",
        "signature-ecdsa-sha1",
        "signature-asked-of-clients",
        signatures=f"{SIGNATURES}:ECDSA+SHA1",
    ),
    _case(
        "clients may sign with RSA and SHA-1",
        "signature-asked-of-clients",
        signatures=f"{SIGNATURES}:RSA+SHA1",
    ),
    _case(
        "there is a certificate of RSA",
        "signature-rsa-pss-rsae-sha256",
        "signature-rsa-pkcs1-sha256",
        "suite-ecdhe_rsa_with_aes_128_gcm_sha256",
        keys=("ecdsa-p256", "rsa-2048"),
        suites=f"{ECDSA_SUITES}:ECDHE-RSA-AES128-GCM-SHA256",
    ),
    _case(
        "there is a certificate of RSA, and SHA-1",
        "signature-rsa-pss-rsae-sha256",
        "signature-rsa-pkcs1-sha256",
        "signature-rsa-pkcs1-sha1",
        "signature-asked-of-clients",
        "suite-ecdhe_rsa_with_aes_128_gcm_sha256",
        keys=("ecdsa-p256", "rsa-2048"),
        suites=f"{ECDSA_SUITES}:ECDHE-RSA-AES128-GCM-SHA256",
        signatures=f"{SIGNATURES}:RSA+SHA1",
    ),
    # certificates
    _case(
        "clients with a key on P-384 are refused",
        "client-certificate-ecdsa-p384",
        client_keys=("ecdsa-p256", "rsa-2048"),
    ),
    _case(
        "clients with a key of RSA are refused",
        "client-certificate-rsa-2048",
        client_keys=("ecdsa-p256", "ecdsa-p384"),
    ),
    _case(
        "clients with a key on P-521 are let in",
        "client-certificate-ecdsa-p521",
        "signature-ecdsa-secp521r1-sha512",
        client_keys=("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"),
        groups=f"{GROUPS}:P-521",
        signatures=f"{SIGNATURES}:ECDSA+SHA512",
    ),
    _case(
        "clients with a short key of RSA are let in",
        "client-certificate-rsa-1024",
        client_keys=("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-1024"),
    ),
    _case(
        "clients with a key of Ed25519 are let in",
        "client-certificate-ed25519",
        client_keys=("ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"),
        signatures=f"{SIGNATURES}:ed25519",
    ),
    _case(
        "clients need no certificate",
        "client-certificate-none",
        "client-certificate-ed25519",  # the server's request leaves it out, so that none is shown
        certificate=False,
    ),
    _case("dates are looked at", "client-certificate-expired", dates=True),
    _case(
        "the announced certificate is another",
        "server-certificate-fingerprint",
        own_fingerprint=False,
    ),
    # fingerprints
    _case(
        "fingerprints are not looked at",
        "fingerprint-wrong",
        "fingerprint-several-one-wrong",
        fingerprints="none",
    ),
    _case(
        "an offer needs no fingerprint",
        "fingerprint-missing",
        "fingerprint-sha-1",
        fingerprint_required=False,
    ),
    _case(
        "SHA-1 proves an identity",
        "fingerprint-sha-1",
        digests=("sha-1", "sha-256", "sha-384", "sha-512"),
    ),
    _case("one of the fingerprints is enough", "fingerprint-several-one-wrong", fingerprints="any"),
    _case("only one fingerprint is taken", "fingerprint-several-right", several_fingerprints=False),
    # sessions
    _case("no extended master secret", "extended-master-secret", extended_master_secret=False),
    _case("tickets are issued", "session-ticket", "session-resumption", tickets=True),
    _case("sessions are resumed", "session-resumption", sessions=True),
    # addresses
    _case("DTLS is spoken with strangers", "address-unbound", bound_only=False),
    _case("passwords are not looked at", "address-wrong-password", passwords=False),
    _case(
        "addresses need not prove themselves",
        "address-unproven",
        factor=1000.0,
    ),
    _case("addresses change hands", "address-claimed", keeps_addresses=False),
    # loss
    _case("nothing is sent again", "loss-10", "loss-30", resends=False),
    # SRTP
    _case(
        "AEAD_AES_128_GCM is missing",
        "srtp-aead-aes-128-gcm",
        "srtp-order",
        profiles="SRTP_AES128_CM_SHA1_80",
    ),
    _case(
        "AES128_CM_HMAC_SHA1_80 is missing",
        "srtp-aes128-cm-hmac-sha1-80",
        profiles="SRTP_AEAD_AES_128_GCM",
    ),
    _case(
        "AES128_CM_HMAC_SHA1_32 is taken",
        "srtp-aes128-cm-hmac-sha1-32",
        profiles=f"{PROFILES}:SRTP_AES128_CM_SHA1_32",
    ),
    _case(
        "AEAD_AES_256_GCM is taken",
        "srtp-aead-aes-256-gcm",
        profiles=f"{PROFILES}:SRTP_AEAD_AES_256_GCM",
    ),
    _case(
        "the profiles are in the opposite order",
        "srtp-order",
        profiles="SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM",
    ),
    _case(
        "no SRTP is needed",
        "srtp-left-out",
        "srtp-aes128-cm-hmac-sha1-32",
        "srtp-aead-aes-256-gcm",
        srtp_required=False,
    ),
    # media
    _case(
        "nothing is forwarded",
        "media-honest",
        untested=(
            "media-plaintext",
            "media-tampered-tag",
            "media-replay",
            "media-key-of-another-peer",
            "media-ssrc-unannounced",
            "media-control-unauthenticated",
            "media-roll-over",
            "media-before-handshake",
        ),
        forwards=False,
    ),
    _case(
        "plaintext is media",
        "media-plaintext",
        "media-before-handshake",
        plaintext=True,
    ),
    _case(
        "plaintext is media until there are keys",
        "media-before-handshake",
        early_plaintext=True,
    ),
    _case("tags are not looked at", "media-tampered-tag", tags=False),
    _case("replays are taken", "media-replay", replay=True),
    _case("anybody's keys open", "media-key-of-another-peer", anybodys_keys=True),
    _case("any SSRC is forwarded", "media-ssrc-unannounced", any_ssrc=True),
    _case("roll-over is not understood", "media-roll-over", roll_over=False),
    _case(
        "RTCP in plaintext is obeyed",
        "media-control-unauthenticated",
        plaintext_control=True,
    ),
)

# On these an honest client gets in and hardly anything else is as it should be: their rows are run
# alone, and only they are looked at.
ALONE = (
    _case(
        "nothing newer than DTLS 1.0 is spoken",
        "version-dtls-1.2",
        oldest=DTLS_1_0,
        newest=DTLS_1_0,
    ),
    _case("the server's key is on P-384", "server-certificate-key", keys=("ecdsa-p384",)),
)
# An honest client does not get in, so nothing else is tested.
NOBODY = _case("nobody is let in", "honest-client", suites="ECDHE-ECDSA-CHACHA20-POLY1305")
