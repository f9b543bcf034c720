"""Handshake messages in pieces (RFC 6347 section 4.2.3): cut, reordered, overlapping, lying."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sfu.probe.crafter import codes
from sfu.probe.crafter.records import Record

HEADER = 12  # bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """One piece. `total` and `stated` (its own length) may lie."""

    kind: int
    total: int
    offset: int
    data: bytes
    message: int = 0  # message_seq
    stated: int | None = None

    def __bytes__(self) -> bytes:
        length = len(self.data) if self.stated is None else self.stated
        return (
            bytes([self.kind])
            + self.total.to_bytes(3, "big")
            + self.message.to_bytes(2, "big")
            + self.offset.to_bytes(3, "big")
            + length.to_bytes(3, "big")
            + self.data
        )


def cut(
    body: bytes, size: int, *, kind: int = codes.CLIENT_HELLO, message: int = 0
) -> list[Fragment]:
    """In order, each of at most `size` bytes of the body."""
    starts = range(0, max(len(body), 1), size)
    return [Fragment(kind, len(body), at, body[at : at + size], message) for at in starts]


def whole(body: bytes, *, message: int = 0) -> Fragment:
    """A ClientHello in one piece."""
    return Fragment(codes.CLIENT_HELLO, len(body), 0, body, message)


def datagrams(
    fragments: Iterable[Fragment],
    *,
    each: int = 1,
    first: int = 0,
    version: int = codes.DTLS_1_2,
) -> list[bytes]:
    """A record per fragment, numbered from `first` as they stand; `each` records to a datagram."""
    records = [
        bytes(Record(codes.HANDSHAKE, bytes(fragment), first + index, version=version))
        for index, fragment in enumerate(fragments)
    ]
    return [b"".join(records[at : at + each]) for at in range(0, len(records), each)]


def told(body: bytes, *, first: int = 0, message: int = 0) -> list[bytes]:
    """A hello as an honest client sends it: whole while it fits `MTU`, else in two or more."""
    return datagrams(cut(body, MTU - HEADER - 13, message=message), first=first)


def missing(fragments: Sequence[Fragment], index: int) -> list[Fragment]:
    """All but one."""
    return [*fragments[:index], *fragments[index + 1 :]]


MTU = 1200
"""Bytes of a datagram, as the WebRTC stacks choose them."""
