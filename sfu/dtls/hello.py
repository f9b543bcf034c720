"""Reads a DTLS ClientHello, so that a refusal can say what was missing.

OpenSSL decides; this only watches. Today's browsers split their hello over two datagrams, so
fragments are put together, within a bound.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sfu.dtls.wire import Fragment, fragments

# Chromium's largest is about 1.5 KB with its post-quantum key share.
MAX_HELLO = 8192

_CLIENT_HELLO = 1
_SUPPORTED_GROUPS = 10  # RFC 8422 section 5.1.1
_EXTENDED_MASTER_SECRET = 23  # RFC 7627 section 5.1


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offered."""

    suites: frozenset[int]
    groups: frozenset[int]
    extended_master_secret: bool


class HelloReader:
    """Puts the fragments of the first ClientHello together."""

    def __init__(self) -> None:
        self.hello: ClientHello | None = None
        self._body = bytearray()
        self._have = bytearray()  # a 1 for each byte that was filled
        self._sequence: int | None = None

    def feed(self, datagram: bytes) -> None:
        """Look at one datagram; anything that is no part of a ClientHello is passed over."""
        for fragment in fragments(datagram):
            if self.hello is None and fragment.message == _CLIENT_HELLO:
                self._add(fragment)

    def _add(self, fragment: Fragment) -> None:
        total, sequence, offset = fragment.length, fragment.sequence, fragment.offset
        part = fragment.part
        if total > MAX_HELLO or offset + len(part) > total:
            return
        if sequence != self._sequence or len(self._body) != total:
            self._sequence, self._body, self._have = sequence, bytearray(total), bytearray(total)
        self._body[offset : offset + len(part)] = part
        self._have[offset : offset + len(part)] = b"\1" * len(part)
        if 0 not in self._have:
            self.hello = parse(bytes(self._body))


def parse(body: bytes) -> ClientHello | None:
    """The body of a ClientHello (RFC 6347 section 4.2.1), None when it is malformed."""
    try:
        rest = body[2 + 32 :]
        _session, rest = _vector(rest, 1)
        _cookie, rest = _vector(rest, 1)
        suites, rest = _vector(rest, 2)
        _compression, rest = _vector(rest, 1)
        extensions = _extensions(_vector(rest, 2)[0]) if rest else {}
        groups = _vector(extensions.get(_SUPPORTED_GROUPS, b"\0\0"), 2)[0]
    except (struct.error, IndexError, ValueError):
        return None
    return ClientHello(
        suites=_numbers(suites),
        groups=_numbers(groups),
        extended_master_secret=_EXTENDED_MASTER_SECRET in extensions,
    )


def _extensions(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while data:
        (kind,) = struct.unpack_from("!H", data)
        found[kind], data = _vector(data[2:], 2)
    return found


def _vector(data: bytes, width: int) -> tuple[bytes, bytes]:
    """A length-prefixed vector and what follows it (RFC 5246 section 4.3)."""
    length = int.from_bytes(data[:width], "big")
    if len(data) < width + length:
        raise ValueError("vector is cut short")
    return data[width : width + length], data[width + length :]


def _numbers(data: bytes) -> frozenset[int]:
    return frozenset(number for (number,) in struct.iter_unpack("!H", data[: len(data) & ~1]))
