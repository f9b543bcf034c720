"""TLS of the HTTP and WebSocket edge: what the policies of DESIGN section 5 allow, and no more."""

from __future__ import annotations

import datetime
import enum
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signaling.server.private import PrivateFileError, read_file

MIN_RSA_BITS: Final = 2048
MIN_EC_BITS: Final = 256

# TLS 1.2, best first; TLS 1.3's own list already starts with AES-256-GCM. All are ephemeral and
# authenticated; ChaCha20 stays out of 1.2 so that what was negotiated is one of these four.
_TLS12_SUITES: Final = ":".join(
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    )
)


class TlsPolicy(enum.StrEnum):
    """The named policies; nothing weaker than `standard` exists."""

    STANDARD = "standard"
    STRICT = "strict"


def server_context(certificate: Path, key: Path, policy: TlsPolicy) -> ssl.SSLContext:
    """The context of the listener. Raises PrivateFileError when the files cannot serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if policy is TlsPolicy.STRICT else ssl.TLSVersion.TLSv1_2
    )
    context.set_ciphers(_TLS12_SUITES)
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise PrivateFileError(
            f"{certificate} and {key} do not belong together",
            "give the private key of the first certificate in the file, unencrypted, in PEM",
        ) from error
    return context


def check_certificate(path: Path, now: float) -> None:
    """The first certificate of the file is strong and valid at Unix time `now`.

    Raises PrivateFileError.
    """
    try:
        leaf = x509.load_pem_x509_certificates(read_file(path))[0]
        public = leaf.public_key()
    except (ValueError, TypeError) as error:
        raise PrivateFileError(f"{path} holds no PEM certificate", "check the path") from error
    if not _is_strong(public):
        raise PrivateFileError(
            f"{path} has a weak or unusual key",
            f"use ECDSA on P-256 or better, or RSA of at least {MIN_RSA_BITS} bits",
        )
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    if moment > leaf.not_valid_after_utc:
        raise PrivateFileError(f"{path} has expired", "renew the certificate")
    if moment < leaf.not_valid_before_utc:
        raise PrivateFileError(f"{path} is not valid yet", "check the clock of this machine")


def _is_strong(public: object) -> bool:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.curve.key_size >= MIN_EC_BITS
    return isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS
