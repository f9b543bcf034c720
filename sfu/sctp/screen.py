"""Looks through one SCTP packet before the engine does, and refuses what would harm it.

aiortc 1.16 trusts lengths: a parameter of length 0 makes it loop for ever, a SACK may make it walk
millions of numbers, and short chunks raise whatever Python raises. DTLS keeps strangers and line
noise out, so a packet refused here is the peer's own doing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Both in what one datagram can hold: browsers send at most about 1200 bytes.
MAX_PACKET = 2048
MAX_CHUNKS = 64

_COMMON_HEADER = 12  # RFC 9260 section 3.1
_CHUNK_HEADER = 4
_PARAMETER_HEADER = 4
_HALF = 1 << 31
_TSN_MODULO = 1 << 32

_DATA, _INIT, _INIT_ACK, _SACK, _HEARTBEAT, _HEARTBEAT_ACK, _ABORT, _SHUTDOWN = range(8)
_ERROR, _RECONFIG, _FORWARD_TSN = 9, 130, 192
_PLAIN_PARAMETERS = (_HEARTBEAT, _HEARTBEAT_ACK, _ABORT, _ERROR)

# The shortest value of each re-configuration parameter (RFC 6525 section 4).
_RECONFIG_VALUES = {13: 12, 16: 8, 17: 8}


class MalformedPacket(Exception):
    """No honest SCTP endpoint sends this."""


def screen(packet: bytes, *, next_tsn: int) -> None:
    """Raise `MalformedPacket` unless the packet is safe to parse.

    `next_tsn` is the number of our next DATA chunk: nothing from there on can be acknowledged.
    """
    if not _COMMON_HEADER + _CHUNK_HEADER <= len(packet) <= MAX_PACKET:
        raise MalformedPacket("packet length")
    kinds: list[int] = []
    for kind, body in _chunks(packet):
        kinds.append(kind)
        if len(kinds) > MAX_CHUNKS:
            raise MalformedPacket("too many chunks")
        _check(kind, body, next_tsn)
    if not kinds or (len(kinds) > 1 and _INIT in kinds):  # RFC 9260 section 4.3
        raise MalformedPacket("bundling")


def _check(kind: int, body: bytes, next_tsn: int) -> None:
    if kind == _DATA and len(body) < 13:  # RFC 9260 section 3.3.1: user data is never empty
        raise MalformedPacket("DATA")
    if kind in (_INIT, _INIT_ACK):
        _check_init(body)
    elif kind == _SACK:
        _check_sack(body, next_tsn)
    elif kind == _SHUTDOWN and len(body) != 4:
        raise MalformedPacket("SHUTDOWN")
    elif kind == _FORWARD_TSN and (len(body) < 4 or len(body) % 4):  # RFC 3758 section 3.2
        raise MalformedPacket("FORWARD TSN")
    elif kind == _RECONFIG:
        for parameter, value in _parameters(body):
            if len(value) < _RECONFIG_VALUES.get(parameter, 0) or len(value) % 2:
                raise MalformedPacket("RE-CONFIG")
    elif kind in _PLAIN_PARAMETERS:
        for _ in _parameters(body):
            pass


def _check_init(body: bytes) -> None:
    if len(body) < 16:
        raise MalformedPacket("INIT")
    tag, _window, outbound, inbound = struct.unpack_from("!LLHH", body)
    if tag == 0 or outbound == 0 or inbound == 0:  # RFC 9260 section 3.3.2
        raise MalformedPacket("INIT")
    for _ in _parameters(body[16:]):
        pass


def _check_sack(body: bytes, next_tsn: int) -> None:
    """RFC 9260 section 3.3.4; gap blocks ascend and end within what was sent."""
    if len(body) < 12:
        raise MalformedPacket("SACK")
    cumulative, _window, gaps, duplicates = struct.unpack_from("!LLHH", body)
    if len(body) != 12 + 4 * (gaps + duplicates):
        raise MalformedPacket("SACK")
    outstanding = (next_tsn - 1 - cumulative) % _TSN_MODULO
    if outstanding >= _HALF:
        raise MalformedPacket("SACK of what was never sent")
    last = 0
    for start, end in struct.iter_unpack("!HH", body[12 : 12 + 4 * gaps]):
        if not last < start <= end <= outstanding:
            raise MalformedPacket("SACK gaps")
        last = end


def _chunks(packet: bytes) -> Iterator[tuple[int, bytes]]:
    position = _COMMON_HEADER
    while position + _CHUNK_HEADER <= len(packet):
        kind, _flags, length = struct.unpack_from("!BBH", packet, position)
        if length < _CHUNK_HEADER or position + length > len(packet):
            raise MalformedPacket("chunk length")
        yield kind, packet[position + _CHUNK_HEADER : position + length]
        position += length + -length % 4


def _parameters(body: bytes) -> Iterator[tuple[int, bytes]]:
    """RFC 9260 section 3.2.1. The engine loops for ever on a length below 4."""
    position = 0
    while position + _PARAMETER_HEADER <= len(body):
        kind, length = struct.unpack_from("!HH", body, position)
        if length < _PARAMETER_HEADER or position + length > len(body):
            raise MalformedPacket("parameter length")
        yield kind, body[position + _PARAMETER_HEADER : position + length]
        position += length + -length % 4
