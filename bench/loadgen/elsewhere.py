"""A socket of another network namespace, for what listens on the loopback in there only."""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_HERE: Final = "/proc/thread-self/ns/net"
_NAMED: Final = "/run/netns"  # ip-netns(8)

_setns = ctypes.CDLL(None, use_errno=True).setns


def tcp_socket(namespace: str) -> socket.socket:
    """A non-blocking socket that belongs to `namespace` for good (setns(2)); needs root.

    Raises OSError.
    """
    home = os.open(_HERE, os.O_RDONLY)
    try:
        there = os.open(f"{_NAMED}/{namespace}", os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            made = socket.socket()
        finally:
            _enter(home)
    finally:
        os.close(home)
    made.setblocking(False)
    return made


def _enter(namespace: int) -> None:
    if _setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
