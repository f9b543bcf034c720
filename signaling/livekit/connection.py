"""The thin asyncio runner of one conversation: a reader, a writer, a watch."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable
from typing import Any

import structlog
from livekit.protocol import rtc

from signaling.domain.people import Departure
from signaling.livekit.conversation import Conversation
from signaling.livekit.door import SignalSocket
from signaling.livekit.latest import Latest
from signaling.livekit.outgoing import Outgoing
from signaling.ports import Clock

SEND_SECONDS = 20.0
"""How long the transport may take for one message, looked at as often as the watch looks."""
FLUSH_SECONDS = 2.0
"""How long the last words may take."""
_WATCH_SECONDS = 10.0
_READ_AT_ONCE = 8
"""Messages after which a socket that never runs dry lets the others have their turn."""

_encoded = Latest(rtc.SignalResponse.SerializeToString)

_log = structlog.get_logger("signaling.livekit")


class Connection:
    """Couples a socket with a conversation. A client that does not read is given up once its queue
    is full; nobody else waits for it.
    """

    def __init__(
        self, socket: SignalSocket, clock: Clock, outgoing: Outgoing | None = None
    ) -> None:
        self._socket = socket
        self._clock = clock
        self._outgoing = outgoing or Outgoing()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._negotiation: asyncio.Handle | None = None
        self._conversation: Conversation | None = None
        self._too_slow = False
        self._sending_since: float | None = None

    async def run(self, conversation: Conversation) -> None:
        """Speak until either side leaves; whatever happens, the participant is out afterwards."""
        self._conversation = conversation
        departure = Departure.INTERNAL
        writer = asyncio.create_task(self._write())
        try:
            conversation.start()
            departure = await self._until_over(conversation, writer)
        except Exception as error:  # noqa: BLE001 - the outermost loop: our bug ends one session
            self._failed(error)
            self._last(lambda: conversation.end(departure, "internal", "Something went wrong."))
        finally:
            self._last(lambda: conversation.hung_up(departure))
            await self._finish(writer)

    # --- The conversation's line ----------------------------------------------------------------

    def send(self, message: rtc.SignalResponse) -> None:
        if not self._outgoing.put(_encoded(message)):
            self._too_slow = True
            self.finished()

    def negotiate_soon(self) -> None:
        if self._negotiation is None:
            self._negotiation = asyncio.get_running_loop().call_soon(self._negotiate)

    def finished(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def log(self, event: str, **fields: Any) -> None:
        _log.info(event, **fields)

    # --------------------------------------------------------------------------------------------

    async def _until_over(
        self, conversation: Conversation, writer: asyncio.Task[None]
    ) -> Departure:
        reader = asyncio.create_task(self._read(conversation))
        watch = asyncio.create_task(self._watch(conversation))
        any_end: set[asyncio.Future[Any]] = {reader, watch, self._ended, writer}
        try:
            await asyncio.wait(any_end, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, watch):
                task.cancel()
            await asyncio.gather(reader, watch, return_exceptions=True)
        for task in (reader, watch):
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, ConnectionError):
                raise error
        return Departure.SLOW_READER if self._too_slow else Departure.SIGNAL_CLOSED

    async def _read(self, conversation: Conversation) -> None:
        for number in itertools.count(1):
            if (frame := await self._socket.receive()) is None:
                return
            conversation.receive(frame)
            if number % _READ_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _write(self) -> None:
        try:
            while (data := await self._outgoing.get()) is not None:
                self._sending_since = self._clock.monotonic()
                await self._socket.send(data)
                self._sending_since = None
        except ConnectionError:
            pass

    async def _watch(self, conversation: Conversation) -> None:
        while True:
            now = self._clock.monotonic()
            delay = max(conversation.deadline() - now, 0.01)
            if delay > _WATCH_SECONDS:
                # On a whole second, as all the others: one waking serves them together
                delay = math.floor(now + _WATCH_SECONDS) - now
            await asyncio.sleep(delay)
            since = self._sending_since
            if since is not None and self._clock.monotonic() >= since + SEND_SECONDS:
                self._too_slow = True
                return
            conversation.tick()

    def _negotiate(self) -> None:
        self._negotiation = None
        if self._conversation is not None:
            self._conversation.negotiate()

    def _last(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - cleaning up goes on
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.log("session_failed", error=type(error).__name__)

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        if self._negotiation is not None:
            self._negotiation.cancel()
        self._outgoing.close()
        if self._too_slow:
            writer.cancel()
        await asyncio.wait({writer}, timeout=FLUSH_SECONDS)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._socket.close()
        except (TimeoutError, ConnectionError):
            pass
