"""A bad way to a node's media port: a forwarder of datagrams that drops some of the media, and lets
only so much through.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast

# The node listens on 127.0.0.1 and advertises this address of the same machine, same port.
ADDRESS: Final = "127.0.0.2"
_RTP: Final = range(128, 192)  # RFC 7983
_RTCP: Final = range(192, 224)  # RFC 5761 section 4
_QUEUE: Final = 0.3  # seconds
_HEADERS: Final = 28  # bytes of IPv4 and UDP


@dataclass
class Loss:
    """What is dropped, in parts of one, of RTP towards the node and from it; RTCP goes through.
    `rate`: bit/s that each client receives at most, of anything; what does not fit into the queue
    before it is lost. `dropped`: how many datagrams, those sent again among them. `lost`: what RTP
    packets (SSRC, sequence number) the node misses; `returned`: how many of them it got after all.
    """

    up: float = 0.0
    down: float = 0.0
    rate: float | None = None
    dropped: int = 0
    lost: set[bytes] = field(default_factory=set)
    returned: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def drops_up(self, datagram: bytes) -> bool:
        """Whether this datagram towards the node is lost; counts it."""
        dropped = self._drops(datagram, self.up)
        # The header is not encrypted, RFC 3550 section 5.1.
        packet = datagram[8:12] + datagram[2:4]
        if dropped:
            self.lost.add(packet)
        elif _is_media(datagram) and packet in self.lost:
            self.lost.remove(packet)
            self.returned += 1
        return dropped

    def drops_down(self, datagram: bytes) -> bool:
        """Whether this datagram from the node is lost; counts it."""
        return self._drops(datagram, self.down)

    def _drops(self, datagram: bytes, share: float) -> bool:
        dropped = _is_media(datagram) and self.random.random() < share
        self.dropped += dropped
        return dropped


def _is_media(datagram: bytes) -> bool:
    return datagram[0] in _RTP and datagram[1] not in _RTCP


@asynccontextmanager
async def lossy_way(port: int) -> AsyncIterator[Loss]:
    """Forward what comes to `ADDRESS` to the node on 127.0.0.1, one socket per client."""
    loss = Loss()
    loop = asyncio.get_running_loop()
    door = _Door(loss, port)
    transport, _ = await loop.create_datagram_endpoint(lambda: door, (ADDRESS, port))
    try:
        yield loss
    finally:
        for way in door.ways.values():
            way.close()
        transport.close()


class _Door(asyncio.DatagramProtocol):
    """Where the clients come in."""

    def __init__(self, loss: Loss, port: int) -> None:
        self.ways: dict[tuple[str, int], _Way] = {}
        self._loss = loss
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._loss.drops_up(data):
            return
        way = self.ways.get(addr)
        if way is None:
            way = self.ways[addr] = _Way(self._loss, self._transport, addr)
            loop = asyncio.get_running_loop()
            way.opening = loop.create_task(_opened(way, self._port))
        way.forward(data)


class _Way(asyncio.DatagramProtocol):
    """One client's way on; what comes before its socket is open waits."""

    def __init__(
        self, loss: Loss, back: asyncio.DatagramTransport, client: tuple[str, int]
    ) -> None:
        self.opening: asyncio.Task[None] | None = None
        self._loss = loss
        self._back = back
        self._client = client
        self._waiting: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._free_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        for data in self._waiting:
            self._transport.sendto(data)
        self._waiting.clear()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._loss.drops_down(data):
            return
        if self._loss.rate is None:
            self._back.sendto(data, self._client)
            return
        loop = asyncio.get_running_loop()
        begins = max(loop.time(), self._free_at)
        if begins - loop.time() > _QUEUE:
            self._loss.dropped += 1
            return
        self._free_at = begins + (len(data) + _HEADERS) * 8 / self._loss.rate
        loop.call_at(self._free_at, self._back.sendto, data, self._client)

    def forward(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data)
        else:
            self._waiting.append(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def _opened(way: _Way, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(
        lambda: way, remote_addr=("127.0.0.1", port), local_addr=("127.0.0.1", 0)
    )
