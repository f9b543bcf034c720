"""A TUN pair: a cable between two network namespaces that is as bad as its pipes."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from typing import Any, Final

from bench.link.directions import Directions
from bench.link.model import Pipe
from bench.link.pump import Pump, Reader, Writer

INTERFACE: Final = "net"
ROUND: Final = 64  # packets taken from a device before the other gets its turn
# include/uapi/linux/if_tun.h
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MAX_PACKET: Final = 65_535
_QUEUE: Final = 1000  # packets that the kernel keeps while the link's process waits for a processor


class TunPair:
    """Interface `net` in each of two namespaces; gone when closed. Needs root."""

    def __init__(self, near: str, far: str) -> None:
        self._near = _device(near, "n")
        self._far = _device(far, "f")

    def start(self, pump: Pump, directions: Directions) -> dict[str, Any]:
        """Carry from now on; clients are on the near side."""
        up, down = directions.pipe("up", 0), directions.pipe("down", 0)
        pump.read(self._near, _reader(self._near, up))
        pump.read(self._far, _reader(self._far, down))
        pump.write(up, _writer(self._far))
        pump.write(down, _writer(self._near))
        return {"interface": INTERFACE}

    def close(self) -> None:
        for each in (self._near, self._far):
            os.close(each)


def _device(namespace: str, end: str) -> int:
    """A TUN device made here and moved there: it stays tied to our descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"link{os.getpid()}{end}"
    request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    _ip("link", "set", name, "netns", namespace, "name", INTERFACE)
    # No IPv6 of its own: router solicitations would be packets that nobody asked for
    there = ("-n", namespace, "link", "set", INTERFACE)
    _ip(*there, "addrgenmode", "none", "txqueuelen", str(_QUEUE))
    _ip(*there, "up")
    return descriptor


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


def _reader(descriptor: int, pipe: Pipe) -> Reader:
    def read(now: int) -> None:
        for _ in range(ROUND):
            try:
                pipe.offer(now, os.read(descriptor, _MAX_PACKET))
            except BlockingIOError:
                return

    return read


def _writer(descriptor: int) -> Writer:
    def write(packet: bytes) -> bool:
        try:
            os.write(descriptor, packet)
        except OSError:
            return False
        return True

    return write
