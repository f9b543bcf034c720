"""The same hellos over TCP, where OpenSSL will not say them: records of TLS (RFC 5246)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sfu.probe.crafter import codes
from sfu.probe.crafter.answers import ServerHello
from sfu.probe.crafter.hello import ClientHello, dtls12
from sfu.probe.crafter.vectors import Malformed, Reader, numbers, vector

_TLS_1_2: Final = 0x0303
_HEADER: Final = 5  # bytes of a record's (RFC 5246 section 6.2.1)
_MAX_RECORD: Final = 2**14
_SCHEMES: Final = (codes.ECDSA_P256_SHA256, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501)


def tls12() -> ClientHello:
    """A plain hello of TLS 1.2."""
    hello = dtls12().without_extension(codes.USE_SRTP)
    schemes = next(one for one in hello.extensions if one.kind == codes.SIGNATURE_ALGORITHMS)
    wider = schemes._replace(content=vector(numbers(_SCHEMES), 2))
    return replace(hello.with_extension(wider), version=_TLS_1_2)


def hello_record(hello: ClientHello) -> bytes:
    """The record that carries it: as in DTLS but for the cookie (RFC 6347 section 4.2.1)."""
    body = hello.body()
    cookie_at = 2 + 32 + 1 + len(hello.session_id)
    body = body[:cookie_at] + body[cookie_at + 1 + len(hello.cookie) :]
    message = bytes([codes.CLIENT_HELLO]) + vector(body, 3)
    return bytes([codes.HANDSHAKE]) + numbers((_TLS_1_2,)) + vector(message, 2)


def first_answer(received: bytes) -> ServerHello | None:
    """The ServerHello at the start of a stream, None while it has not come or when an alert came
    instead. Raises `Malformed`.
    """
    content = b""
    while len(received) >= _HEADER:
        kind, length = received[0], int.from_bytes(received[3:5], "big")
        if kind not in (codes.HANDSHAKE, codes.ALERT) or received[1] != 3 or length > _MAX_RECORD:
            raise Malformed("no_record", "The server sent something that is no TLS record.")
        if kind == codes.ALERT or len(received) < _HEADER + length:
            break
        content += received[_HEADER : _HEADER + length]
        received = received[_HEADER + length :]
    if len(content) < 4 or len(content) < 4 + int.from_bytes(content[1:4], "big"):
        return None
    reader = Reader(content, "first message")
    if reader.number(1) != codes.SERVER_HELLO:
        raise Malformed("no_hello", "The server's first message is no ServerHello.")
    return ServerHello.parse(reader.vector(3))
