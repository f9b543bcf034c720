"""uvicorn, with what it leaves open closed: the only module that knows its insides.

Each override names what happens without it; `tests/unit/signaling/server/test_engine.py` guards
each against the pinned engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final, cast

import h11
import uvicorn
import websockets.http11
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame

from signaling.server.addresses import ClientAddresses, peer_address, site
from signaling.server.limits import ConnectionCounts

PING_INTERVAL: Final = 10.0  # seconds, as LiveKit pings its WebSockets
PING_TIMEOUT: Final = 20.0
HEADER_DEADLINE: Final = 10.0  # seconds from the connection to the end of its first request head
SEND_DEADLINE: Final = 10.0  # seconds a full socket may take before its reader counts as gone
KEEP_ALIVE: Final = 10  # seconds between two requests on one connection
DATE_EVERY: Final = 1.0  # seconds for which answers bear the same Date
MAX_FRAGMENTS: Final = 1024  # of one message; empty ones cost memory that no size cap sees

# Nothing is kept from one message to the next: that would be 50 kB for each connection, for as long
# as it lasts. A message costs 3 us more.
_DEFLATE: Final = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=12,
    client_max_window_bits=12,
    compress_settings={"memLevel": 5},
)


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What the engine enforces below ASGI."""

    max_header_bytes: int
    max_message_bytes: int
    connections: ConnectionCounts
    addresses: ClientAddresses
    header_deadline: float = HEADER_DEADLINE
    send_deadline: float = SEND_DEADLINE


class Engine(uvicorn.Server):
    """One listener. Signals are the caller's business, not uvicorn's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Let :meth:`serve` close the listener and its connections, and return."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """uvicorn's looks every tenth of a second whether it is to end, for as long as it runs."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), DATE_EVERY)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signal handlers alone: two listeners share one process."""
        yield


def engine(app: ASGIApp, context: ssl.SSLContext | None, limits: EngineLimits) -> Engine:
    """A listener for `app`; serve it with `Engine.serve(sockets=[…])`."""
    _raise_line_limit(limits.max_header_bytes)
    return Engine(
        uvicorn.Config(
            app,
            http=_bound(GuardedHttp, limits),
            ws=_bound(GuardedWebSocket, limits),
            ws_max_size=limits.max_message_bytes,
            ws_per_message_deflate=False,  # `GuardedWebSocket` has its own
            ws_ping_interval=PING_INTERVAL,
            ws_ping_timeout=PING_TIMEOUT,
            h11_max_incomplete_event_size=limits.max_header_bytes,
            ssl_context_factory=(lambda *_: context) if context is not None else None,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=5,
            access_log=False,  # LiveKit's clients put tokens into the query
            log_config=None,
            proxy_headers=False,  # `addresses` reads them, with our idea of trust
            server_header=False,
            lifespan="off",
            interface="asgi3",
        )
    )


class GuardedHttp(H11Protocol):
    """HTTP/1.1 with a cap on connections, a deadline for the first request, and whole-head caps."""

    limits: EngineLimits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Without this one address holds every socket, and a silent client holds one for ever."""
        super().connection_made(transport)
        self._counted_as: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        peer = peer_address(self.client)
        if peer is not None and not self.limits.addresses.is_trusted(peer):
            if not self.limits.connections.enter(site(peer)):
                transport.abort()
                return
            self._counted_as = site(peer)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what the connection held."""
        self._disarm()
        if self._counted_as is not None:
            self.limits.connections.leave(self._counted_as)
            self._counted_as = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """uvicorn's keep-alive timer ends at a head's first byte; this one at its last."""
        super().data_received(data)
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """h11 caps only a head that is still incomplete: one that came in one read is let by."""
        size = len(event.target) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.limits.max_header_bytes:
            self.send_400_response("The request is too large.")
            return
        counted, self._counted_as = self._counted_as, None
        self._disarm()
        super().handle_websocket_upgrade(event)
        protocol = cast(GuardedWebSocket, self.transport.get_protocol())
        protocol.counted_as = counted
        self.transport.set_protocol(SharedBuffer(protocol))
        if not protocol.handshake_initiated:
            # websockets refused the head, and uvicorn neither sends that nor closes
            self.transport.write(b"".join(protocol.conn.data_to_send()))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """h11 cannot answer twice; a request that goes bad after its answer began is cut off."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        super().send_400_response(msg)

    def _watch(self) -> None:
        """Arm the deadline while a request head is awaited, once per head."""
        if self.conn.their_state is not h11.IDLE:
            self._disarm()
        elif self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self.limits.header_deadline, self.transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose peer cannot make us hold what it does not read."""

    limits: EngineLimits
    counted_as: str | None = None
    heard_at = 0.0  # by the loop's clock

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.queue = Inbox()  # type: ignore[assignment]  # what uvicorn uses of an asyncio.Queue
        self.conn.available_extensions = [_DEFLATE]

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)

    def schedule_ping(self) -> None:
        """uvicorn also pings who has just spoken, each at a moment of their own. Whoever was silent
        for the interval is pinged here, on a whole second: one waking of the loop serves them all.
        """
        assert self.ping_interval is not None
        now = self.loop.time()
        due = math.ceil(max(self.heard_at + self.ping_interval, now))
        self.ping_timer = self.loop.call_later(due - now, self.send_keepalive_ping)

    def send_keepalive_ping(self) -> None:
        assert self.ping_interval is not None
        if self.loop.time() < self.heard_at + self.ping_interval:
            self.schedule_ping()
        else:
            super().send_keepalive_ping()

    def send_receive_event_to_app(self) -> None:
        """uvicorn stops reading at each message until it is taken, which costs a turn of the loop
        and a read in vain. When a second one waits is early enough.
        """
        first = self.queue.empty() and not self.read_paused
        if first:
            self.read_paused = True  # then it is left alone
        super().send_receive_event_to_app()
        if first:
            self.read_paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.counted_as is not None:
            self.limits.connections.leave(self.counted_as)
            self.counted_as = None
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Without this a reader that stops reading holds its session for ever."""
        if not self.writable.is_set():
            try:
                async with asyncio.timeout(self.limits.send_deadline):
                    await self.writable.wait()
            except TimeoutError:
                self.transport.abort()
                raise ClientDisconnected from None
        await super().send(message)
        if message["type"] == "websocket.accept":
            self._forget_request()

    def _forget_request(self) -> None:
        """uvicorn and websockets keep its head for as long as the session lasts: kilobytes, and in
        them a token. The application has read it.
        """
        self.scope["headers"] = []
        self.scope["query_string"] = b""
        self.request.path = ""
        self.request.headers.clear()
        del self.request, self.response

    def handle_ping(self) -> None:
        """Without this a client that sends pings and reads no pongs fills our memory."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # RFC 6455 5.5.3: only the latest ping needs its pong

    def handle_cont(self, event: Frame) -> None:
        """Without this a message of endless empty fragments grows under every size cap."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(1008, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        """uvicorn closes politely, which waits for a full buffer that nobody reads."""
        super().keepalive_timeout()
        asyncio.get_running_loop().call_later(1.0, self.transport.abort)

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        asyncio.get_running_loop().call_later(self.limits.send_deadline, self.transport.abort)


class Inbox:
    """Messages on their way to one reader. An asyncio.Queue keeps 3 kB while it is empty, which
    these mostly are.
    """

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def qsize(self) -> int:
        return len(self._messages)

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)


class SharedBuffer(asyncio.BufferedProtocol):
    """Reads for a protocol without making memory for it.

    uvloop reads TLS into 256 KiB made for each read, which the C library maps and unmaps: tens of
    microseconds for a few bytes. What is read is copied out before anybody else reads.
    """

    _memory: Final = memoryview(bytearray(64 * 1024))  # of all connections; four records of TLS

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._memory

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(self._memory[:nbytes]))

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound, listening TCP socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _raise_line_limit(max_bytes: int) -> None:
    """`websockets` parses the head again after h11, with 8192 bytes a line and no parameter.

    Tokens and join requests in LiveKit's query pass that (docs: its environment variable sets the
    same constant, read at import).
    """
    websockets.http11.MAX_LINE_LENGTH = max(websockets.http11.MAX_LINE_LENGTH, max_bytes + 64)


def _bound(protocol: type[Any], limits: EngineLimits) -> type[asyncio.Protocol]:
    """uvicorn makes protocols itself: what they need travels on a class of their own."""
    return type(protocol.__name__, (protocol,), {"limits": limits})
