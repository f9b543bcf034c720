"""OpenSSL as a DTLS server on lists of datagrams: it judges hellos, and answers for the reader."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sfu.probe.crafter import codes

_LIB: Any = SSL._lib  # type: ignore[attr-defined]  # cffi, untyped


class OpenSslServer:
    """One connection, on OpenSSL's defaults but for what is asked."""

    def __init__(
        self,
        *,
        profiles: str = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80",
        groups: str = "X25519:P-256",
        mtu: int = 1200,
        cookie: bool = False,
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        if cookie:
            assert SSL.OP_COOKIE_EXCHANGE is not None
            context.set_options(SSL.OP_COOKIE_EXCHANGE)
        context.set_cookie_generate_callback(lambda _connection: b"cookie of the test")
        context.set_cookie_verify_callback(lambda _connection, said: said == b"cookie of the test")
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.set_tlsext_use_srtp(profiles.encode())
        assert _LIB.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self_signed(key)
        context.use_certificate(self.certificate)
        context.use_privatekey(key)
        self._connection = SSL.Connection(context)
        self._connection.set_ciphertext_mtu(mtu)
        self._connection.set_accept_state()
        self.error = ""

    def answer(self, datagrams: Iterable[bytes]) -> list[bytes]:
        """Take datagrams; the records it answers with, one to a datagram."""
        for datagram in datagrams:
            self._connection.bio_write(datagram)
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self.error = str(error)
                break
        try:
            written = self._connection.bio_read(1 << 20)
        except SSL.Error:
            return []
        found = []
        while written:
            length = 13 + int.from_bytes(written[11:13], "big")
            found.append(written[:length])
            written = written[length:]
        return found


def suite_of(records: list[bytes]) -> int:
    """The suite of a ServerHello that begins the first record, found without the crafter."""
    (first, *_rest) = records
    assert first[0] == codes.HANDSHAKE
    assert first[13] == codes.SERVER_HELLO
    session = first[13 + 12 + 34]
    return int.from_bytes(first[13 + 12 + 35 + session :][:2], "big")


def self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Good for a test."""
    now = datetime.datetime.now(tz=datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=5))
        .sign(key, hashes.SHA256())
    )
