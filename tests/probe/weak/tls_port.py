"""A signalling port for tests: HTTP behind TLS, as the standard policy wants it or weaker."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from sfu.probe.crafter import codes
from sfu.probe.crafter.vectors import numbers, vector
from sfu.probe.identity import KeyKind, PrivateKey, identity
from sfu.probe.targets import Door

_ALLOW_CLIENT_RENEGOTIATION = 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION, openssl/ssl.h
_HANDSHAKE = b"\x16"
_VERSIONS = {
    "TLSv1.0": SSL.OP_NO_TLSv1,
    "TLSv1.1": SSL.OP_NO_TLSv1_1,
    "TLSv1.2": SSL.OP_NO_TLSv1_2,
    "TLSv1.3": SSL.OP_NO_TLSv1_3,
}
PATIENCE = 10.0


@dataclass(frozen=True)
class TlsStrength:
    """Every field left alone is the strong one."""

    versions: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    suites: str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    suites_1_3: str = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
    key: KeyKind = "ecdsa-p256"
    issued: bool = True  # by the authority that the client trusts
    expired: bool = False
    host: str = "127.0.0.1"  # in the certificate
    hsts: bool = True
    plain_http: bool = False  # served
    renegotiates: bool = False
    compresses: bool = False


@asynccontextmanager
async def tls_port(strength: TlsStrength) -> AsyncIterator[Door]:
    """Running on a free port of 127.0.0.1 for the time of the block; the door trusts its authority
    as somebody would who was given it.
    """
    authority = _Authority()
    port = _Port(strength, authority)
    server = await asyncio.start_server(port.serve, "127.0.0.1", 0)
    trust = ssl.create_default_context(cadata=authority.pem)
    async with server:
        yield Door("127.0.0.1", server.sockets[0].getsockname()[1], trust)


class _Port:
    def __init__(self, strength: TlsStrength, authority: _Authority) -> None:
        self._strength = strength
        self._context = _context(strength, authority)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError, EOFError, SSL.Error, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                first = await reader.read(16384)
                if self._strength.compresses and _offers_compression(first):
                    writer.write(_compressing())
                elif first[:1] == _HANDSHAKE:
                    await self._secure(first, reader, writer)
                elif self._strength.plain_http:
                    writer.write(self._page())
                await writer.drain()
        writer.close()

    async def _secure(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        connection.bio_write(first)
        while True:
            try:
                asked = connection.recv(16384)
            except SSL.WantReadError:
                asked = b""
            finally:
                with contextlib.suppress(SSL.Error):
                    while True:
                        writer.write(connection.bio_read(16384))
            if asked.startswith(b"GET "):
                connection.sendall(self._page())
                with contextlib.suppress(SSL.Error):
                    while True:
                        writer.write(connection.bio_read(16384))
                return
            await writer.drain()
            data = await reader.read(16384)
            if not data:
                return
            connection.bio_write(data)

    def _page(self) -> bytes:
        hsts = b"Strict-Transport-Security: max-age=31536000\r\n" if self._strength.hsts else b""
        return b"HTTP/1.1 200 OK\r\n" + hsts + b"Content-Length: 2\r\n\r\nhi"


class _Authority:
    """Issues one certificate."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority of a test")])
        self._certificate = (
            _certificate(name, name, self._key, days=5)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, strength: TlsStrength, key: PrivateKey) -> x509.Certificate:
        """For that host; signed by itself when the strength says so."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server of a test")])
        issuer = self._certificate.subject if strength.issued else name
        address = ipaddress.ip_address(strength.host)
        names = x509.SubjectAlternativeName([x509.IPAddress(address)])
        unsigned = _certificate(name, issuer, key, days=-1 if strength.expired else 5)
        signer = self._key if strength.issued else key
        return unsigned.add_extension(names, critical=False).sign(signer, hashes.SHA256())


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _context(strength: TlsStrength, authority: _Authority) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_VERSION)
    for version, switched_off in _VERSIONS.items():
        if version not in strength.versions:
            context.set_options(switched_off)
    context.set_cipher_list(f"{strength.suites}:@SECLEVEL=0".encode())
    context.set_tls13_ciphersuites(strength.suites_1_3.encode())
    context.set_options(
        _ALLOW_CLIENT_RENEGOTIATION if strength.renegotiates else SSL.OP_NO_RENEGOTIATION
    )
    key = identity(strength.key).key
    context.use_certificate(authority.issue(strength, key))
    context.use_privatekey(key)
    return context


def _offers_compression(record: bytes) -> bool:
    """A hello whose list of compression methods has more than the null one."""
    at = 5 + 4 + 2 + 32
    if len(record) <= at or record[:1] != _HANDSHAKE:
        return False
    at += 1 + record[at]
    at += 2 + int.from_bytes(record[at : at + 2], "big")
    return len(record) > at and record[at] > 1


def _compressing() -> bytes:
    """A ServerHello that chooses DEFLATE: all that can be said without zlib in an OpenSSL."""
    body = numbers((0x0303,)) + bytes(32) + b"\0" + numbers((0xC02B,)) + b"\1"
    message = bytes([codes.SERVER_HELLO]) + vector(body, 3)
    return _HANDSHAKE + numbers((0x0303,)) + vector(message, 2)
