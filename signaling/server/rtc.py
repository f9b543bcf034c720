"""LiveKit's doorstep: `/rtc`, `/rtc/v1` and their validation, up to the upgrade and no further."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from signaling.domain.errors import Refusal
from signaling.livekit.door import Admission, Door, Knock
from signaling.server.admin import Health
from signaling.server.denial import deny, plain
from signaling.server.logs import logger
from signaling.server.metrics import Metrics

ADMIT_DEADLINE: Final = 5.0  # seconds; LiveKit's Rust clients wait no longer for the upgrade

_log = logger(__name__)


class Doorstep:
    """ASGI application of LiveKit's connection endpoints."""

    def __init__(self, door: Door, health: Health, metrics: Metrics) -> None:
        self._door = door
        self._health = health
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one validation, or carry one signalling connection until it ends."""
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            await (await self._validate(scope))(scope, receive, send)

    async def _validate(self, scope: Scope) -> Response:
        if not scope["path"].endswith("/validate") or scope["method"] not in ("GET", "HEAD"):
            return plain(_not_a_page())
        try:
            self._check_open()
            async with asyncio.timeout(ADMIT_DEADLINE):
                await self._door.validate(_knock(scope))
        except Refusal as refusal:
            return plain(refusal)
        except TimeoutError:
            return plain(_slow())
        except Exception:  # noqa: BLE001 (the outermost loop; the log tells of our bug)
            _log.exception("validate_failed")
            return plain(_internal())
        return PlainTextResponse("success")

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            admission = await self._admit(scope)
        except Refusal as refusal:
            self._metrics.join(refusal.code)
            await deny(scope, receive, send, refusal)
            return
        self._metrics.join("admitted")
        socket = AsgiSocket(receive, send)
        if not await _accept(admission, socket):
            return
        try:
            await admission.run(socket)
        except Exception:  # noqa: BLE001 (the outermost loop; the log tells of our bug)
            _log.exception("session_failed")
        finally:
            await socket.close()

    async def _admit(self, scope: Scope) -> Admission:
        if scope["path"].endswith("/validate"):
            raise _not_a_page()
        self._check_open()
        try:
            async with asyncio.timeout(ADMIT_DEADLINE):
                return await self._door.admit(_knock(scope))
        except Refusal:
            raise
        except TimeoutError:
            raise _slow() from None
        except Exception:  # noqa: BLE001 (the outermost loop; the log tells of our bug)
            _log.exception("join_failed")
            raise _internal() from None

    def _check_open(self) -> None:
        if self._health.draining:
            raise Refusal("server_stopping", "The server is being restarted.", status=503)


class AsgiSocket:
    """`SignalSocket` over one ASGI WebSocket."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._closed = False

    async def accept(self) -> None:
        """Complete the upgrade; no subprotocol. Raises ConnectionError."""
        await self._put({"type": "websocket.accept"})

    async def receive(self) -> bytes | str | None:
        """The next message, or None once the client is gone."""
        if self._closed:
            return None
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._closed = True
            return None
        data = message.get("bytes")
        if data is not None:
            return bytes(data)
        return str(message.get("text") or "")

    async def send(self, data: bytes) -> None:
        """Send one binary message. Raises ConnectionError when the client is gone or stuck."""
        if self._closed:
            raise ConnectionError("the client is gone")
        await self._put({"type": "websocket.send", "bytes": data})

    async def close(self) -> None:
        """Close with code 1000; nothing happens when already closed."""
        if not self._closed:
            self._closed = True
            try:
                await self._put({"type": "websocket.close", "code": 1000})
            except ConnectionError:
                return

    async def _put(self, message: dict[str, object]) -> None:
        try:
            await self._send(message)
        # uvicorn says RuntimeError when it closed by itself between two of our messages
        except (OSError, RuntimeError) as error:
            self._closed = True
            raise ConnectionError("the client is gone") from error


async def _accept(admission: Admission, socket: AsgiSocket) -> bool:
    accepted = False
    try:
        await socket.accept()
        accepted = True
    except ConnectionError:
        pass
    finally:
        if not accepted:
            admission.abandon()
    return accepted


def _knock(scope: Scope) -> Knock:
    return Knock(
        path=scope["path"],
        query=dict(QueryParams(scope["query_string"])),
        authorization=Headers(scope=scope).get("authorization"),
    )


# Made anew each time: a raised exception keeps its frames, and those hold tokens.


def _not_a_page() -> Refusal:
    """Must not say "requested room does not exist": clients take that for the room's own 404."""
    return Refusal("upgrade_needed", "This is a WebSocket address.", status=404)


def _slow() -> Refusal:
    return Refusal("server_busy", "The server is too busy; try again.", status=503)


def _internal() -> Refusal:
    return Refusal("internal", "Something went wrong on our side.", status=500)
