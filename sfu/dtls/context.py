"""The OpenSSL context of a transport, with everything of the crypto policy pinned.

What pyOpenSSL does not wrap is reached through `SSL._lib`;
`tests/unit/sfu/test_dtls_private_api.py` guards each such use against the pinned versions.
"""

from __future__ import annotations

from typing import Any, Protocol

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


class Verifier(Protocol):
    """Whoever judges the client's certificate; set as the connection's `app_data`."""

    def verify_peer(self, connection: SSL.Connection, certificate: crypto.X509) -> bool: ...


class PinnedCertificate(RTCCertificate):
    """Our certificate as aiortc takes it, which comes with a pinned context.

    Making a context costs a third of a handshake, so connections under one certificate and policy
    share one; nothing of a session is kept in it.
    """

    def __init__(self, certificate: LocalCertificate, policy: CryptoPolicy) -> None:
        super().__init__(key=certificate.key, cert=certificate.certificate)
        self._local = certificate
        self._policy = policy

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        """Ignores aiortc's own list of profiles: the policy's stands."""
        context = self._local.contexts.get(self._policy)
        if context is None:
            context = self._local.contexts[self._policy] = _pinned(self._local, self._policy)
        return context


def _pinned(certificate: LocalCertificate, policy: CryptoPolicy) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(DTLS_1_2)
    context.set_max_proto_version(DTLS_1_2)
    context.set_options(
        SSL.OP_NO_TICKET
        | SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_RENEGOTIATION
        | SSL.OP_NO_QUERY_MTU
        | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # 50 kB less for each connection that says nothing, as after the handshake most do
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
    context.use_certificate(certificate.certificate)
    context.use_privatekey(certificate.key)
    context.set_cipher_list(":".join(suite.openssl for suite in policy.suites).encode())
    lib: Any = SSL._lib  # type: ignore[attr-defined]  # cffi, untyped
    if lib.SSL_CTX_set1_curves_list(context._context, _groups(policy).encode()) != 1:
        raise RuntimeError("OpenSSL refused the policy's groups")
    if lib.SSL_CTX_set1_sigalgs_list(context._context, _SIGNATURES) != 1:
        raise RuntimeError("OpenSSL refused the policy's signature algorithms")
    profiles = ":".join(profile.openssl for profile in policy.srtp_profiles)
    context.set_tlsext_use_srtp(profiles.encode())
    return context


def _verify(
    connection: SSL.Connection, certificate: crypto.X509, _errno: int, depth: int, _ok: int
) -> bool:
    """Called by OpenSSL for each certificate and each thing wrong with it. Issuer and dates do not
    count, so only the client's own certificate is looked at.
    """
    verifier: Verifier | None = connection.get_app_data()
    if verifier is None:
        return False
    return depth > 0 or verifier.verify_peer(connection, certificate)


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
