"""Stands where aiortc expects an ICE transport: datagrams from and to the relay, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

# A handshake flight is 2 to 4 datagrams, an SCTP burst 4; more than this is a flood or a stall.
MAX_QUEUED = 64


class DatagramPipe:
    """What `RTCDtlsTransport` uses of its transport: `role`, `state`, `_recv`, `_send`, `stop`.

    A full queue drops the newest datagram and counts it; DTLS and SCTP both resend.
    """

    role = "controlled"  # ICE-lite is always the controlled side (RFC 8445 section 6.1.1)

    def __init__(self, send: Callable[[Sequence[bytes]], None]) -> None:
        self.dropped = 0
        self._send_datagrams = send
        self._queue: list[bytes] = []  # mostly empty, where an asyncio.Queue keeps 3 kB
        self._reader: asyncio.Future[None] | None = None  # who waits for a change
        self._closed = False

    @property
    def state(self) -> str:
        return "closed" if self._closed else "completed"

    def deliver(self, datagram: bytes) -> None:
        """A datagram from the peer."""
        if self._closed or len(self._queue) >= MAX_QUEUED:
            self.dropped += 1
            return
        self._queue.append(datagram)
        self._wake()

    async def begun(self) -> None:
        """Returns with the first datagram, which stays to be read, or when closed."""
        while not self._queue and not self._closed:
            await self._change()

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Datagrams to the peer; nothing goes out once closed."""
        if datagrams and not self._closed:
            self._send_datagrams(datagrams)

    def close(self) -> None:
        """No more in either direction; a reader gets `ConnectionError`."""
        if not self._closed:
            self._closed = True
            self._wake()

    async def _recv(self) -> bytes:
        while not self._queue and not self._closed:
            await self._change()
        if self._closed:
            raise ConnectionError("the transport is closed")
        return self._queue.pop(0)

    async def _send(self, datagram: bytes) -> None:
        self.send([datagram])

    async def stop(self) -> None:
        self.close()

    async def _change(self) -> None:
        """One reader at a time."""
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
