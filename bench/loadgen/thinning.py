"""A socket that lets one media packet in so many through; the kernel drops and counts the others.

At the rates that fill a core of a server, taking each packet out of its socket would be more than
one core of clients can do. A classic BPF filter drops media as it reaches the socket, after
addresses and lengths were checked, and the socket's drop counter tells how many. What is no media
(STUN, DTLS, RTCP) passes.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Final

FULL_CORE: Final = 128
"""One in so many at rates that fill a core."""
_SO_ATTACH_FILTER: Final = 26
_UDP_HEADER: Final = 8  # bytes; a UDP socket's filter sees the header too
_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD = 0x30, 0x28, 0x20
_KEEP, _ADD_KEPT, _AND = 0x07, 0x0C, 0x54
_IF_EQUAL, _IF_NOT_BELOW, _IF_ABOVE, _RETURN = 0x15, 0x35, 0x25, 0x06


def thin(sock: socket.socket, one_in: int) -> None:
    """From now on, for good, media packets pass whose sequence number and SSRC have a sum that
    `one_in` divides: in each stream one in so many, not all streams' at a time. A power of two, so
    that it holds where numbers roll over. Raises OSError.
    """
    if one_in.bit_count() != 1:
        raise ValueError("a stream is thinned by a power of two")
    lines = _program(one_in)
    held = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = struct.pack("@HP", len(lines), ctypes.addressof(held))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _program(one_in: int) -> tuple[tuple[int, int, int, int], ...]:
    """Classic BPF (linux/filter.h): code, how many to leap over if so, if not, operand."""
    return (
        (_LOAD_BYTE, 0, 0, _UDP_HEADER),
        (_AND, 0, 0, 0xC0),
        (_IF_EQUAL, 0, 9, 0x80),  # else no RTP and no RTCP (RFC 7983): pass
        (_LOAD_BYTE, 0, 0, _UDP_HEADER + 1),
        (_IF_NOT_BELOW, 0, 1, 192),
        (_IF_ABOVE, 0, 6, 223),  # else RTCP (RFC 5761 section 4): pass
        (_LOAD_WORD, 0, 0, _UDP_HEADER + 8),
        (_KEEP, 0, 0, 0),
        (_LOAD_HALF, 0, 0, _UDP_HEADER + 2),
        (_ADD_KEPT, 0, 0, 0),
        (_AND, 0, 0, one_in - 1),
        (_IF_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, 0xFFFF),
        (_RETURN, 0, 0, 0),
    )


def overflows() -> int:
    """Datagrams for which sockets of this network namespace had no room (RcvbufErrors)."""
    with open("/proc/self/net/snmp") as lines:
        names, values = [line.split() for line in lines if line.startswith("Udp:")]
    return int(values[names.index("RcvbufErrors")])
