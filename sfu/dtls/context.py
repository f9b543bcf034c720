"""The OpenSSL context of a transport, with everything of the crypto policy pinned.

What pyOpenSSL does not wrap is reached through `SSL._lib`; `tests/unit/sfu/test_dtls.py` guards
each such use against the pinned versions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc.rtcdtlstransport import RTCCertificate, SRTPProtectionProfile
from OpenSSL import SSL, crypto

from sfu.crypto_policy import CryptoPolicy
from sfu.dtls.certificate import LocalCertificate

# DTLS numbers its versions downwards (RFC 6347 section 4.1).
DTLS_1_2 = 0xFEFD

# What a peer may sign with: the peer's key may be ECDSA or RSA, its hash SHA-2.
_SIGNATURES = (
    b"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384"
    b":rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512"
    b":rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512"
)

Verify = Callable[[SSL.Connection, crypto.X509, int, int, int], bool]


class PinnedCertificate(RTCCertificate):
    """Our certificate as aiortc takes it, which makes a pinned context for one connection."""

    def __init__(self, certificate: LocalCertificate, policy: CryptoPolicy, verify: Verify) -> None:
        super().__init__(key=certificate.key, cert=certificate.certificate)
        self._policy = policy
        self._verify = verify

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        """Ignores aiortc's own list of profiles: the policy's stands."""
        policy = self._policy
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(DTLS_1_2)
        context.set_max_proto_version(DTLS_1_2)
        lib: Any = SSL._lib  # type: ignore[attr-defined]  # cffi, untyped
        context.set_options(
            SSL.OP_NO_TICKET
            | SSL.OP_NO_COMPRESSION
            | SSL.OP_NO_RENEGOTIATION
            | SSL.OP_NO_QUERY_MTU
            | SSL.OP_CIPHER_SERVER_PREFERENCE
        )
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        context.use_certificate(self._cert)
        context.use_privatekey(self._key)
        context.set_cipher_list(":".join(suite.openssl for suite in policy.suites).encode())
        if lib.SSL_CTX_set1_curves_list(context._context, _groups(policy).encode()) != 1:
            raise RuntimeError("OpenSSL refused the policy's groups")
        if lib.SSL_CTX_set1_sigalgs_list(context._context, _SIGNATURES) != 1:
            raise RuntimeError("OpenSSL refused the policy's signature algorithms")
        profiles = ":".join(profile.openssl for profile in policy.srtp_profiles)
        context.set_tlsext_use_srtp(profiles.encode())
        return context


def _groups(policy: CryptoPolicy) -> str:
    """The groups in server order, then the curves that only certificates may use.

    OpenSSL holds a client's certificate against this list too (RFC 8422 section 5.1). Those at the
    end are never agreed on: a client must offer P-256 to accept our certificate, which comes first.
    """
    listed = [group.openssl for group in policy.groups]
    listed += [
        curve
        for curve in policy.peer_certificate.curves
        if not any(curve in group.aliases for group in policy.groups)
    ]
    return ":".join(listed)
