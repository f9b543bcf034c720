"""A UDP relay: clients send to its port, it sends on to the server, each flow by its own pipes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

from bench.link.directions import IP_UDP, Directions
from bench.link.model import Pipe
from bench.link.pump import Pump

MAX_FLOWS: Final = 256
"""Clients at once. More are ignored: a test that has so many has lost its way."""
ROUND: Final = 64  # datagrams taken from a socket before others get their turn
BUFFER: Final = 4 * 1024 * 1024  # bytes; half a second at 20 Mbit/s, the kernel's accounts included
# include/uapi/asm-generic/socket.h; Python has no names for them
_SNDBUFFORCE, _RCVBUFFORCE = 32, 33

Address = tuple[str, int]


class UdpRelay:
    """Stands before the server's media port: what comes back goes to whoever it answers."""

    def __init__(self, server: Address, listen: Address = ("127.0.0.1", 0)) -> None:
        self._server = server
        self._front = _socket()
        self._front.bind(listen)
        self._up: dict[Address, Pipe] = {}
        self._backs: list[socket.socket] = []

    def start(self, pump: Pump, directions: Directions) -> dict[str, Any]:
        """Take datagrams from now on; tells the port."""
        self._pump, self._directions = pump, directions
        pump.read(self._front.fileno(), self._from_clients)
        return {"port": self._front.getsockname()[1]}

    def close(self) -> None:
        for each in (self._front, *self._backs):
            each.close()

    def _from_clients(self, now: int) -> None:
        for _ in range(ROUND):
            try:
                packet, client = self._front.recvfrom(65_535)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue  # some client has closed its port; its packets are lost on it, not on us
            if (pipe := self._up.get(client) or self._flow(client)) is not None:
                pipe.offer(now, packet, IP_UDP)

    def _flow(self, client: Address) -> Pipe | None:
        """A socket towards the server for a new client, and its two pipes."""
        if len(self._up) == MAX_FLOWS:
            return None
        number = len(self._up)
        back = _socket()
        back.connect(self._server)
        self._backs.append(back)
        up, down = (self._directions.pipe(each, number) for each in ("up", "down"))
        self._up[client] = up

        def from_server(now: int) -> None:
            for _ in range(ROUND):
                try:
                    down.offer(now, back.recv(65_535), IP_UDP)
                except BlockingIOError:
                    return
                except ConnectionRefusedError:
                    continue

        def to_server(packet: bytes) -> bool:
            return _taken(lambda: back.send(packet))

        def to_client(packet: bytes) -> bool:
            return _taken(lambda: self._front.sendto(packet, client))

        self._pump.read(back.fileno(), from_server)
        self._pump.write(up, to_server, IP_UDP)
        self._pump.write(down, to_client, IP_UDP)
        return up


def _taken(send: Callable[[], object]) -> bool:
    try:
        send()
    except ConnectionRefusedError:
        return True  # the news of an earlier packet, and nobody is there to miss this one
    except OSError:
        return False
    return True


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    deep_buffers(made)
    return made


def deep_buffers(of: socket.socket) -> None:
    """Room for what comes while a process waits for a processor; root may have more than others."""
    for forced, usual in ((_RCVBUFFORCE, socket.SO_RCVBUF), (_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            of.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
        except PermissionError:
            of.setsockopt(socket.SOL_SOCKET, usual, BUFFER)
