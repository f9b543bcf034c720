"""The certificates the probe shows: honest, weak, of the wrong kind, expired."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

KeyKind = Literal["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-1024", "ed25519"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha-1": hashes.SHA1(),  # noqa: S303 - a row offers it to see it refused
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


@dataclass(frozen=True)
class Identity:
    """A self-signed certificate and its key."""

    key: PrivateKey
    certificate: x509.Certificate

    def fingerprint(self, algorithm: str = "sha-256") -> str:
        """The value of an `a=fingerprint` line (RFC 8122 section 5)."""
        return fingerprint(self.certificate, algorithm)


def fingerprint(certificate: x509.Certificate, algorithm: str = "sha-256") -> str:
    """A certificate's fingerprint as SDP has it: `sha-256 AB:CD:…`."""
    digest = certificate.fingerprint(_HASHES[algorithm])
    return f"{algorithm} {digest.hex(':').upper()}"


@cache
def identity(kind: KeyKind = "ecdsa-p256", *, expired: bool = False, number: int = 0) -> Identity:
    """An identity of that kind; the same one for the same arguments, since RSA keys are slow."""
    key = _key(kind)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"probe {number}")])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=-1 if expired else 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=30))
        .not_valid_after(end)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return Identity(key, certificate)


def key_kind(certificate: x509.Certificate) -> str:
    """What kind of key a certificate holds, in the words of `KeyKind`."""
    try:
        key = certificate.public_key()
    except ValueError:
        return "a key that cannot be read"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ecdsa-" + key.curve.name.replace("secp", "p").replace("r1", "")
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").lower()


def _key(kind: KeyKind) -> PrivateKey:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    family, size = kind.split("-")
    if family == "rsa":
        return rsa.generate_private_key(65537, int(size))
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    return ec.generate_private_key(curves[size])
