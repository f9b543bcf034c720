"""A LiveKit client of our own that says whatever a test wants said, over real TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import websockets
from livekit.protocol import models, rtc
from websockets.asyncio.client import ClientConnection, connect

from tests.node import Node
from tests.patience import PATIENCE

HOME = "127.0.0.77"
"""Where all these clients live, so that their address can be looked for in the logs."""


@dataclass
class Visitor:
    """One signalling session."""

    socket: ClientConnection
    heard: list[rtc.SignalResponse] = field(default_factory=list)
    _pinging: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def joined(cls, node: Node, token: str, **wish: Any) -> AsyncIterator[Visitor]:
        """Through the door and past the join response; `wish` as for :func:`doorway`."""
        async with doorway(node, token, **wish) as socket:
            visitor = cls(socket)
            await visitor.next("join")
            visitor._pinging = asyncio.create_task(visitor._ping())
            try:
                yield visitor
            finally:
                visitor._pinging.cancel()
                await asyncio.gather(visitor._pinging, return_exceptions=True)

    async def say(self, **message: Any) -> None:
        """One SignalRequest."""
        await self.socket.send(rtc.SignalRequest(**message).SerializeToString())

    async def offer(self, sdp: str, number: int = 1) -> None:
        await self.say(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=number))

    async def next(self, kind: str) -> Any:
        """The content of the next message of that kind; what comes before it is kept in `heard`."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = rtc.SignalResponse.FromString(await self._bytes())
                self.heard.append(message)
                if message.WhichOneof("message") == kind:
                    return getattr(message, kind)

    async def refused(self) -> str:
        """The `code: sentence` of the next request_response."""
        response = await self.next("request_response")
        assert response.reason != rtc.RequestResponse.Reason.OK
        return str(response.message)

    async def sent_away(self) -> tuple[str, rtc.LeaveRequest]:
        """The last refusal before Leave, and Leave; nothing comes after it but the close."""
        leave = await self.next("leave")
        said = [m.request_response.message for m in self.heard if m.HasField("request_response")]
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(websockets.ConnectionClosed):
                await self.socket.recv()
                raise AssertionError("something was said after Leave")
        return (said[-1] if said else ""), leave

    async def active(self) -> None:
        """The server takes this session's transport for connected: its keys are in place."""
        own = self.heard[0].join.participant.sid
        while not any(
            one.sid == own and one.state == models.ParticipantInfo.State.ACTIVE
            for message in self.heard
            for one in message.update.participants
        ):
            await self.next("update")

    async def still_served(self) -> None:
        """The session answers."""
        await self.say(ping_req=rtc.Ping(timestamp=77))
        while (await self.next("pong_resp")).last_ping_timestamp != 77:
            pass

    async def _bytes(self) -> bytes:
        data = await self.socket.recv()
        assert isinstance(data, bytes)
        return data

    async def _ping(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await asyncio.sleep(5)
                await self.say(ping_req=rtc.Ping(timestamp=1))


@asynccontextmanager
async def doorway(
    node: Node,
    token: str | None,
    *,
    room: str = "",
    dual: bool = False,
    offer: str | None = None,
    auto_subscribe: bool = True,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[ClientConnection]:
    """The upgrade alone. Raises `websockets.InvalidStatus` with the server's answer."""
    request = rtc.JoinRequest(
        client_info=models.ClientInfo(protocol=17, version="0"),
        connection_settings=rtc.ConnectionSettings(auto_subscribe=auto_subscribe),
    )
    if offer is not None:
        request.publisher_offer.CopyFrom(rtc.SessionDescription(type="offer", sdp=offer, id=1))
    wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString())
    packed = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
    path = "/rtc?protocol=17" if dual else f"/rtc/v1?join_request={packed}"
    if room:
        path += f"&room={room}"
    given = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with connect(
        node.url + path,
        host="127.0.0.1",
        local_addr=(HOME, 0),
        ssl=node.tls,
        additional_headers=given | (headers or {}),
        compression=None,
        proxy=None,
        max_size=None,
        open_timeout=PATIENCE,
        ping_interval=None,
    ) as socket:
        yield socket


async def turned_away(node: Node, token: str | None, **wish: Any) -> tuple[int, str]:
    """Status and sentence of an upgrade that must be refused."""
    try:
        async with doorway(node, token, **wish):
            raise AssertionError("the door opened")
    except websockets.InvalidStatus as refused:
        return refused.response.status_code, refused.response.body.decode()
