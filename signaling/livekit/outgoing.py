"""The bounded queue towards one client."""

from __future__ import annotations

import asyncio

MAX_MESSAGES = 1_024
MAX_BYTES = 4 * 1024 * 1024
"""What a reader may fall behind before it is given up: about a second of a very busy room."""


class Outgoing:
    """Messages in order. A single message always fits an empty queue, however large: a join
    response for a full room may exceed any sensible backlog.
    """

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._queue: list[bytes] = []  # mostly empty, where a deque keeps a kilobyte
        self._bytes = 0
        self._closed = False
        self._reader: asyncio.Future[None] | None = None  # who waits for a change

    def put(self, data: bytes) -> bool:
        """Queue; False when it does not fit, or the queue is closed."""
        if self._closed:
            return False
        if self._queue and (
            len(self._queue) >= self._max_messages or self._bytes + len(data) > self._max_bytes
        ):
            return False
        self._queue.append(data)
        self._bytes += len(data)
        self._wake()
        return True

    def close(self) -> None:
        """Take no more; what is queued can still be got."""
        self._closed = True
        self._wake()

    async def get(self) -> bytes | None:
        """The next message, or None once closed and empty. It counts until the next call, which
        says that it was sent.
        """
        while not self._queue:
            if self._closed:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._queue.pop(0)
        self._bytes -= len(data)
        return data

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
