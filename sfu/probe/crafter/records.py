"""DTLS records of the first epoch, written and read (RFC 6347 section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sfu.probe.crafter import codes
from sfu.probe.crafter.vectors import Malformed, vector

HEADER = 13  # bytes
# RFC 6347 section 4.1 lets a ciphertext be 2^14 + 2,048 bytes long.
MAX_LENGTH = 2**14 + 2048
_UNIFIED_HEADER = 0b001  # the top three bits of an encrypted 1.3 record (RFC 9147 section 4)


@dataclass(frozen=True, slots=True)
class Record:
    """One record. What is in it can only be read when it is of epoch 0."""

    kind: int
    payload: bytes
    sequence: int = 0
    epoch: int = 0
    version: int = codes.DTLS_1_2

    def __bytes__(self) -> bytes:
        head = bytes([self.kind]) + self.version.to_bytes(2, "big")
        number = self.epoch.to_bytes(2, "big") + self.sequence.to_bytes(6, "big")
        return head + number + vector(self.payload, 2)


def read_records(datagram: bytes) -> Iterator[Record]:
    """The records of a datagram; one that DTLS 1.3 has encrypted ends it, unread.

    Raises `Malformed` when a record is cut short, too long, or of no DTLS version.
    """
    at = 0
    while at < len(datagram):
        if datagram[at] >> 5 == _UNIFIED_HEADER:
            return
        head = datagram[at : at + HEADER]
        length = int.from_bytes(head[11:13], "big")
        if len(head) < HEADER or at + HEADER + length > len(datagram):
            raise Malformed("cut_short", "A record of the server is cut short.")
        if head[1] != 0xFE or length > MAX_LENGTH:
            raise Malformed("no_record", "The server sent something that is no DTLS record.")
        yield Record(
            kind=head[0],
            version=int.from_bytes(head[1:3], "big"),
            epoch=int.from_bytes(head[3:5], "big"),
            sequence=int.from_bytes(head[5:11], "big"),
            payload=datagram[at + HEADER : at + HEADER + length],
        )
        at += HEADER + length
