"""Receiving many datagrams with one call, with the kernel's own time of arrival (recvmmsg).

Only Linux on 64 bits. Python's `socket` knows no recvmmsg; one call per packet would be the
generator's main cost.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import Any, Final

import numpy as np

BATCH: Final = 64
SIZE: Final = 2048
RECEIVE_BUFFER: Final = 4 * 1024 * 1024  # bytes; a stall of ours must not look like loss
_SO_TIMESTAMPNS: Final = 35
_SO_RCVBUFFORCE: Final = 33
_CONTROL: Final = 32  # cmsg header of 16 bytes, timespec of 16
_DONTWAIT: Final = socket.MSG_DONTWAIT


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("length", ctypes.c_uint32))


# PyDLL keeps the interpreter lock: nobody else runs here, and handing it over costs more than the
# call.
_recvmmsg = ctypes.PyDLL(None, use_errno=True).recvmmsg
_recvmmsg.restype = ctypes.c_int
_STAMP = struct.Struct("=16xqq")


class Batch:
    """Room for `BATCH` datagrams, used again by each `receive`."""

    def __init__(self) -> None:
        self.data = bytearray(BATCH * SIZE)
        self._control = bytearray(BATCH * _CONTROL)
        data = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        control = ctypes.addressof(ctypes.c_char.from_buffer(self._control))
        self._vectors = (_Iovec * BATCH)()
        self._messages = (_Message * BATCH)()
        for index, message in enumerate(self._messages):
            vector = self._vectors[index]
            vector.base, vector.length = data + index * SIZE, SIZE
            message.header.vectors = ctypes.addressof(vector)
            message.header.vector_count = 1
            message.header.control = control + index * _CONTROL
        words = np.frombuffer(memoryview(self._messages).cast("B"), dtype=np.uint64).reshape(
            BATCH, -1
        )
        self._control_lengths = words[:, _Header.control_length.offset // 8]
        bytes_each = memoryview(self._messages).cast("B").cast("I")
        self.lengths = bytes_each[_Message.length.offset // 4 :: ctypes.sizeof(_Message) // 4]
        """Bytes of each datagram of the last batch."""
        self._pointer: Any = ctypes.addressof(self._messages)
        self._pointer = ctypes.c_void_p(self._pointer)

    def receive(self, descriptor: int) -> int:
        """How many datagrams came, 0 for none. Raises OSError."""
        self._control_lengths[:] = _CONTROL
        received = int(_recvmmsg(descriptor, self._pointer, BATCH, _DONTWAIT, None))
        if received < 0:
            number = ctypes.get_errno()
            if number in _NOTHING:
                return 0
            raise OSError(number, os.strerror(number))
        return received

    def length(self, index: int) -> int:
        """Bytes of one datagram; it begins at `index * SIZE` of `data`."""
        return self.lengths[index]

    def datagram(self, index: int) -> bytes:
        """A copy of one datagram."""
        start = index * SIZE
        return bytes(self.data[start : start + self.length(index)])

    def arrived(self, index: int) -> int:
        """When the kernel got it, Unix nanoseconds; 0 when the kernel did not say."""
        if self._messages[index].header.control_length < _CONTROL:
            return 0
        seconds, nanoseconds = _STAMP.unpack_from(self._control, index * _CONTROL)
        return int(seconds * 1_000_000_000 + nanoseconds)


# ECONNREFUSED: an ICMP error of an earlier datagram; the server has gone or is not there yet.
_NOTHING: Final = frozenset({11, 111})


def udp_socket(address: tuple[str, int]) -> socket.socket:
    """A non-blocking socket connected to `address`, with time stamps and a deep buffer."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.connect(address)
    return sock


def kernel_drops(inodes: set[int]) -> int:
    """Datagrams that the kernel threw away because these sockets of ours were full."""
    drops = 0
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            with open(table) as lines:
                rows = [line.split() for line in lines][1:]
        except FileNotFoundError:
            continue
        drops += sum(int(row[12]) for row in rows if int(row[9]) in inodes)
    return drops
