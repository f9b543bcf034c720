"""Our certificate, its rotation, and what a peer's certificate must be."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from aiortc.rtcdtlstransport import RTCCertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from sfu.crypto_policy import CryptoPolicy, PeerCertificateRules
from sfu.sdp import Fingerprint

# DESIGN 5: fresh at start and every 24 h.
ROTATION_SECONDS = 24 * 3600.0

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


class LocalCertificate:
    """A self-signed ECDSA P-256 certificate and its key."""

    def __init__(self) -> None:
        generated = RTCCertificate.generateCertificate()
        self.key: ec.EllipticCurvePrivateKey = generated._key
        self.certificate: x509.Certificate = generated._cert
        # What our SDP announces: sha-256 alone, which every client knows.
        self.fingerprints = (fingerprint(self.certificate, "sha-256"),)
        self.contexts: dict[CryptoPolicy, SSL.Context] = {}  # `sfu.dtls.context` keeps them here


class CertificateRotation:
    """Hands out the certificate for new transports; running calls keep the one they began with."""

    def __init__(self, clock: Callable[[], float], *, seconds: float = ROTATION_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._renew()

    def current(self) -> LocalCertificate:
        """The certificate for a transport opened now."""
        if self.age() >= self._seconds:
            self._renew()
        return self._certificate

    def age(self) -> float:
        """Seconds since the current certificate was made."""
        return self._clock() - self._made_at

    def _renew(self) -> None:
        self._certificate = LocalCertificate()
        self._made_at = self._clock()


def fingerprint(certificate: x509.Certificate, algorithm: str) -> Fingerprint:
    """A certificate's fingerprint in SDP's form (RFC 8122 section 5): upper-case hex, colons."""
    digest = certificate.fingerprint(_DIGESTS[algorithm])
    return Fingerprint(algorithm=algorithm, value=digest.hex(":").upper())


def key_is_strong(certificate: x509.Certificate, rules: PeerCertificateRules) -> bool:
    """Whether the certificate's key is of an accepted kind and size."""
    try:
        key = certificate.public_key()
    except ValueError:  # a key that cryptography cannot parse is a key we do not take
        return False
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name in rules.curves
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= rules.rsa_bits
    return False


def fingerprints_match(
    certificate: x509.Certificate,
    announced: Sequence[Fingerprint],
    rules: PeerCertificateRules,
) -> bool:
    """Whether every announced fingerprint of an accepted digest matches, and there is one.

    Weaker digests and unknown ones prove nothing and are passed over (RFC 8122 section 5.1).
    """
    strong = [one for one in announced if one.algorithm.lower() in rules.digests]
    matches = [
        hmac.compare_digest(
            one.value.upper().encode(),
            fingerprint(certificate, one.algorithm.lower()).value.encode(),
        )
        for one in strong
    ]
    return bool(matches) and all(matches)
