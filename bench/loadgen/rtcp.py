"""The little RTCP that a well-behaved client must speak (RFC 3550 section 6, RFC 4585)."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from typing import Final

_SR: Final = 200
_RR: Final = 201
_SDES: Final = 202
_PSFB: Final = 206
_PLI: Final = 1
_FIR: Final = 4
_NTP_EPOCH: Final = 2_208_988_800  # seconds from 1900 to 1970


def sender_report(ssrc: int, rtp_time: int, packets: int, octets: int) -> bytes:
    """A compound of SR and SDES."""
    now = time.time() + _NTP_EPOCH
    seconds = int(now)
    fraction = int((now - seconds) * (1 << 32)) & 0xFFFFFFFF
    body = struct.pack(
        "!IIIIII",
        ssrc,
        seconds & 0xFFFFFFFF,
        fraction,
        rtp_time & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    return _packet(0, _SR, body) + _sdes(ssrc)


def receiver_report(ssrc: int, streams: Sequence[tuple[int, int, int]]) -> bytes:
    """A compound of RR and SDES; `streams` are (ssrc, highest sequence, lost), 31 at most."""
    body = struct.pack("!I", ssrc)
    for reported, highest, lost in streams[:31]:
        cumulative = min(lost, 0x7FFFFF)
        body += struct.pack("!IIIIII", reported, cumulative, highest & 0xFFFFFFFF, 0, 0, 0)
    return _packet(min(len(streams), 31), _RR, body) + _sdes(ssrc)


def asks_for_key_frame(compound: bytes) -> bool:
    """Whether a decrypted compound holds a PLI or a FIR."""
    return any(kind == _PSFB and count in (_PLI, _FIR) for count, kind, _ in _packets(compound))


def _packets(compound: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 4 <= len(compound):
        first, kind, words = struct.unpack_from("!BBH", compound, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(compound):
            return
        yield first & 0x1F, kind, compound[at + 4 : end]
        at = end


def _sdes(ssrc: int) -> bytes:
    cname = b"bench"
    item = struct.pack("!IBB", ssrc, 1, len(cname)) + cname + b"\0"
    return _packet(1, _SDES, item + bytes(-len(item) % 4))


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
