"""Sockets that take in one packet in so many; the kernel drops the others before anybody wakes.

What a server sends costs it the same whoever looks at it, and one look in Python costs more than
all that our server does for the packet.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_INSTRUCTION: Final = struct.Struct("=HBBI")
# Classic BPF (linux/filter.h): loads from the packet, which begins with its UDP header.
_LOAD_BYTE, _LOAD_TWO, _AND, _RETURN = 0x30, 0x28, 0x54, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ABOVE = 0x15, 0x35, 0x25
_UDP_HEADER: Final = 8
_WHOLE: Final = 0xFFFF


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def thin(sock: socket.socket, one_in: int) -> None:
    """Take in, of each RTP stream, only packets whose sequence number `one_in` divides, a power of
    two; and everything that is not RTP (RFC 7983, RFC 5761). Raises OSError.
    """
    if one_in.bit_count() != 1:
        raise ValueError("a stream is thinned by a power of two")
    code = b"".join(_INSTRUCTION.pack(*each) for each in _program(one_in))
    kept = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // _INSTRUCTION.size, ctypes.addressof(kept))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))


def _program(one_in: int) -> list[tuple[int, int, int, int]]:
    """(code, how many to leap over if so, if not, operand)."""
    return [
        (_LOAD_BYTE, 0, 0, _UDP_HEADER),
        (_AND, 0, 0, 0xC0),
        (_IF_EQUAL, 0, 6, 0x80),  # version 2, or not RTP
        (_LOAD_BYTE, 0, 0, _UDP_HEADER + 1),
        (_IF_AT_LEAST, 0, 1, 192),
        (_IF_ABOVE, 0, 3, 223),  # RTCP
        (_LOAD_TWO, 0, 0, _UDP_HEADER + 2),
        (_AND, 0, 0, one_in - 1),
        (_IF_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _WHOLE),
        (_RETURN, 0, 0, 0),
    ]
