"""A DTLS client of its own (pyOpenSSL alone), and a wire of lists between it and a server."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import SSL

from sfu.sdp import Fingerprint

NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET, which pyOpenSSL does not name
DTLS_1_0 = 0xFEFF
DTLS_1_2 = 0xFEFD
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
LIB: Any = SSL._lib  # type: ignore[attr-defined]  # cffi, untyped


class Client:
    """One client connection. Every limit is the caller's."""

    def __init__(
        self,
        *,
        suites: str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA",
        profiles: str | None = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80",
        groups: str = "X25519:P-256:P-384",
        version: int = DTLS_1_2,
        options: int = 0,
        key: PrivateKey | None = None,
        certificate: bool = True,
        expired: bool = False,
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.set_options(options | SSL.OP_NO_QUERY_MTU)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.set_cipher_list(f"{suites}:@SECLEVEL=0".encode())  # this client may be weak
        assert LIB.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1
        if profiles is not None:
            context.set_tlsext_use_srtp(profiles.encode())
        key = key or ec.generate_private_key(ec.SECP256R1())
        self.certificate = self_signed(key, expired=expired)
        if certificate:
            context.use_certificate(self.certificate)
            context.use_privatekey(key)
        self.connection = SSL.Connection(context)
        self.connection.set_ciphertext_mtu(1200)
        self.connection.set_connect_state()
        self.done = False
        self.error = ""

    def fingerprint(self, algorithm: str = "sha-256") -> Fingerprint:
        digest: hashes.HashAlgorithm = {
            "sha-1": hashes.SHA1(),
            "sha-256": hashes.SHA256(),
            "sha-512": hashes.SHA512(),
        }[algorithm]
        return Fingerprint(algorithm, self.certificate.fingerprint(digest).hex(":").upper())

    def step(self, received: Sequence[bytes] = ()) -> list[bytes]:
        """Take datagrams, move the handshake on, and return what is to be sent."""
        for datagram in received:
            self.connection.bio_write(datagram)
            self._advance()
        self._advance()
        written = b""
        while True:
            try:
                written += self.connection.bio_read(65536)
            except SSL.Error:
                return [written] if written else []

    def _advance(self) -> None:
        if self.done or self.error:
            return
        try:
            self.connection.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.error = str(error)

    def say(self, message: bytes) -> bytes:
        """After the handshake: the message as a datagram."""
        self.connection.send(message)
        return self.connection.bio_read(65536)

    def read(self, datagrams: Sequence[bytes]) -> str:
        """After the handshake: "open", "closed" (close_notify) or what OpenSSL says."""
        for datagram in datagrams:
            self.connection.bio_write(datagram)
        try:
            self.connection.recv(2048)
        except SSL.WantReadError:
            return "open"
        except SSL.ZeroReturnError:
            return "closed"
        except SSL.Error as error:
            return str(error)
        return "data"


def self_signed(key: PrivateKey, *, expired: bool = False) -> x509.Certificate:
    """As browsers make them."""
    now = datetime.datetime.now(tz=datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=40))
        .not_valid_after(now + datetime.timedelta(days=-5 if expired else 5))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


async def settle() -> None:
    """Let every callback that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)
