"""The part of DTLS 1.2 that is told in the clear: handshake fragments of a datagram."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HANDSHAKE_RECORD = 22
RECORD_HEADER = 13  # RFC 6347 section 4.1
_FRAGMENT_HEADER = 12  # RFC 6347 section 4.2.2


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a handshake message (RFC 6347 section 4.2.2)."""

    message: int  # HandshakeType
    length: int  # of the whole message's body, bytes
    sequence: int
    offset: int
    part: bytes


def fragments(datagram: bytes) -> Iterator[Fragment]:
    """The fragments that are not yet encrypted; what is damaged or anything else is passed over."""
    for position in _records(datagram):
        kind = datagram[position]
        epoch = int.from_bytes(datagram[position + 3 : position + 5], "big")
        length = int.from_bytes(datagram[position + 11 : position + 13], "big")
        if kind == HANDSHAKE_RECORD and epoch == 0:
            body = position + RECORD_HEADER
            yield from _of_record(datagram[body : body + length])


def clear_part(datagram: bytes) -> int:
    """Bytes of a datagram that come before its first encrypted record."""
    for position in _records(datagram):
        if datagram[position + 3 : position + 5] > b"\0\0":  # the epoch
            return position
    return len(datagram)


def records(datagram: bytes) -> int:
    """How many records begin in a datagram, one that is cut off among them."""
    return sum(1 for _ in _records(datagram))


def _records(datagram: bytes) -> Iterator[int]:
    """Where each begins. The last may be cut off."""
    position = 0
    while position < len(datagram):
        yield position
        position += RECORD_HEADER + int.from_bytes(datagram[position + 11 : position + 13], "big")


def _of_record(record: bytes) -> Iterator[Fragment]:
    """A record may hold several messages."""
    position = 0
    while position + _FRAGMENT_HEADER <= len(record):
        header = record[position : position + _FRAGMENT_HEADER]
        length = int.from_bytes(header[9:12], "big")
        position += _FRAGMENT_HEADER
        yield Fragment(
            message=header[0],
            length=int.from_bytes(header[1:4], "big"),
            sequence=int.from_bytes(header[4:6], "big"),
            offset=int.from_bytes(header[6:9], "big"),
            part=record[position : position + length],
        )
        position += length
