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
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._begun = asyncio.Event()
        self._closed = False

    @property
    def state(self) -> str:
        return "closed" if self._closed else "completed"

    def deliver(self, datagram: bytes) -> None:
        """A datagram from the peer."""
        if self._closed or self._queue.qsize() >= MAX_QUEUED:
            self.dropped += 1
            return
        self._queue.put_nowait(datagram)
        self._begun.set()

    async def begun(self) -> None:
        """Returns with the first datagram, or when closed."""
        await self._begun.wait()

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Datagrams to the peer; nothing goes out once closed."""
        if datagrams and not self._closed:
            self._send_datagrams(datagrams)

    def close(self) -> None:
        """No more in either direction; a reader gets `ConnectionError`."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
            self._begun.set()

    async def _recv(self) -> bytes:
        datagram = await self._queue.get() if not self._closed else None
        if datagram is None:
            raise ConnectionError("the transport is closed")
        return datagram

    async def _send(self, datagram: bytes) -> None:
        self.send([datagram])

    async def stop(self) -> None:
        self.close()
