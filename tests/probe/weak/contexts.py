"""The OpenSSL side of the test's server."""

from __future__ import annotations

import base64
import tempfile
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa
from OpenSSL import SSL

from sfu.probe.identity import identity
from tests.probe.weak.strength import Strength

LIB: Any = SSL._lib  # type: ignore[attr-defined]  # cffi, untyped
FFI: Any = SSL._ffi  # type: ignore[attr-defined]  # cffi, untyped
_ALLOW_CLIENT_RENEGOTIATION = 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION, openssl/ssl.h


def server_certificate(kind: str) -> tuple[x509.Certificate, Any]:
    """A certificate with a key of that kind, and the key."""
    if kind == "dsa":
        return _dsa()
    found = identity(kind, number=77)
    return found.certificate, found.key


def server_context(strength: Strength) -> SSL.Context:
    """What such a server accepts. One per node: what is kept of sessions is kept in it."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(strength.oldest)
    context.set_max_proto_version(strength.newest)
    context.set_cipher_list(f"{strength.suites}:@SECLEVEL=0".encode())
    assert LIB.SSL_CTX_set1_curves_list(context._context, strength.groups.encode()) == 1
    assert LIB.SSL_CTX_set1_sigalgs_list(context._context, strength.signatures.encode()) == 1
    options = SSL.OP_NO_QUERY_MTU
    options |= _ALLOW_CLIENT_RENEGOTIATION if strength.renegotiates else SSL.OP_NO_RENEGOTIATION
    if strength.own_order:
        options |= SSL.OP_CIPHER_SERVER_PREFERENCE
    if not strength.tickets:
        options |= SSL.OP_NO_TICKET
    context.set_options(options)
    kept = SSL.SESS_CACHE_SERVER if strength.sessions else SSL.SESS_CACHE_OFF
    context.set_session_cache_mode(kept)
    context.set_session_id(b"weak")
    mode = SSL.VERIFY_PEER
    if strength.certificate:
        mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(mode, lambda *_: True)  # looked at once the handshake is over
    context.set_tlsext_use_srtp(strength.profiles.encode())
    for kind in strength.keys:
        certificate, key = server_certificate(kind)
        context.use_certificate(certificate)
        context.use_privatekey(key)
    if "DH" in strength.suites or "ALL" in strength.suites:
        with tempfile.NamedTemporaryFile() as file:
            file.write(_dh_parameters())
            file.flush()
            context.load_tmp_dh(file.name)
    if "PSK" in strength.suites or "ALL" in strength.suites:
        LIB.SSL_CTX_set_psk_server_callback(context._context, _PSK)
    return context


def _give_psk(_ssl: Any, _identity: Any, key: Any, room: int) -> int:
    FFI.memmove(key, b"\x42" * 16, 16)
    return 16


_PSK = FFI.callback("unsigned int(SSL *, const char *, unsigned char *, unsigned int)", _give_psk)


@cache
def _dh_parameters() -> bytes:
    # RFC 7919 appendix A.1, ffdhe2048: made by nobody here, and at once
    prime = bytes.fromhex(
        "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695"
        "A9E13641146433FBCC939DCE249B3EF97D2FE363630C75D8F681B202AEC4617A"
        "D3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935"
        "984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797A"
        "BC0AB182B324FB61D108A94BB2C8E3FBB96ADAB760D7F4681D4F42A3DE394DF4"
        "AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61"
        "9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005"
        "C58EF1837D1683B2C6F34A26C1B2EFFA886B423861285C97FFFFFFFFFFFFFFFF"
    )
    # SEQUENCE { INTEGER prime, INTEGER 2 } (PKCS #3)
    integers = b"\x02\x82\x01\x01\x00" + prime + b"\x02\x01\x02"
    der = b"\x30\x82" + len(integers).to_bytes(2, "big") + integers
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n".encode()


@cache
def _dsa() -> tuple[x509.Certificate, dsa.DSAPrivateKey]:
    pattern = identity(number=78).certificate
    key = dsa.generate_private_key(2048)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(pattern.subject)
        .issuer_name(pattern.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(pattern.not_valid_before_utc)
        .not_valid_after(pattern.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    return certificate, key
