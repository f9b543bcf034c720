"""What one client address may take: joins per minute, open connections, bytes of a body."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signaling.domain.errors import Refusal
from signaling.server.addresses import ClientAddresses
from signaling.server.denial import deny

MAX_ADDRESSES: Final = 65536  # buckets kept; about 10 MB when full
MAX_BODY_BYTES: Final = 64 * 1024  # no route of ours reads more

JOIN_PATHS: Final = frozenset({"/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate"})

# Where a POST is a join as well.
_RESOURCES: Final = ("/whip/", "/whep/")


class JoinRate:
    """A token bucket per address: `per_minute` at once, refilled evenly over a minute.

    The table is bounded: when it is full the bucket untouched for longest is forgotten, so an
    attacker with many addresses buys at most a fresh bucket for somebody.
    """

    def __init__(self, per_minute: int, max_addresses: int = MAX_ADDRESSES) -> None:
        self._capacity = float(per_minute)
        self._max_addresses = max_addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> float:
        """Take one join; 0.0 when there was one, else the seconds until there is.

        `now` is monotonic seconds.
        """
        if not self._capacity:
            return 0.0
        level, since = self._buckets.pop(address, (self._capacity, now))
        per_second = self._capacity / 60
        level = min(self._capacity, level + max(0.0, now - since) * per_second)
        wait = 0.0 if level >= 1 else (1 - level) / per_second
        self._buckets[address] = (level - 1 if level >= 1 else level, now)
        if len(self._buckets) > self._max_addresses:
            self._buckets.popitem(last=False)
        return wait


class ConnectionCounts:
    """How many connections each address has open, up to a cap; 0 lifts it."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count one more; False, and nothing counted, when the address is at its cap."""
        if self._cap and self._open[address] >= self._cap:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Count one less."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


class LimitJoins:
    """ASGI middleware: joins per address, and WebSockets per address where a proxy hides them."""

    def __init__(
        self,
        app: ASGIApp,
        addresses: ClientAddresses,
        rate: JoinRate,
        sockets: ConnectionCounts,
        monotonic: Callable[[], float],
    ) -> None:
        self._app = app
        self._addresses = addresses
        self._rate = rate
        self._sockets = sockets
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 429 with Retry-After."""
        if not _is_join(scope):
            await self._app(scope, receive, send)
            return
        client = self._addresses.of(scope)
        wait = self._rate.take(client, self._monotonic())
        if wait:
            await deny(
                scope,
                receive,
                send,
                Refusal("too_many_joins", "Too many joins from here; wait a moment.", status=429),
                {"Retry-After": str(math.ceil(wait))},
            )
        elif scope["type"] != "websocket":
            await self._app(scope, receive, send)
        elif not self._sockets.enter(client):
            sentence = "Too many connections from here; close one first."
            refusal = Refusal("too_many_connections", sentence, status=429)
            await deny(scope, receive, send, refusal, {"Retry-After": "10"})
        else:
            try:
                await self._app(scope, receive, send)
            finally:
                self._sockets.leave(client)


def _is_join(scope: Scope) -> bool:
    path, method = scope.get("path", ""), scope.get("method")
    if path.startswith(_RESOURCES):
        return method == "POST"
    return path in JOIN_PATHS and method != "OPTIONS"


class LimitBody:
    """ASGI middleware: refuses a request body over the cap, declared or not."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 413; what is read past the cap raises Refusal in the reader."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared[:18]) > self._max_bytes:
            refusal = self._refusal()
            await deny(scope, receive, send, refusal, {"Connection": "close"})
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._refusal()
            return message

        await self._app(scope, counted, send)

    def _refusal(self) -> Refusal:
        sentence = f"The request body is larger than {self._max_bytes} bytes."
        return Refusal("body_too_large", sentence, status=413)
