"""Clients at the real door, with a socket made of two queues and a media plane without media."""

from __future__ import annotations

import asyncio
import base64
import gzip
from typing import Any

from livekit.protocol import models, rtc

from signaling.calls.calls import Calls
from signaling.domain.condition import Condition
from signaling.domain.grants import Claims
from signaling.domain.limits import Limits
from signaling.livekit.door import Knock
from signaling.livekit.entrance import LiveKitDoor
from signaling.livekit.outgoing import Outgoing
from signaling.livekit.packets import stamp
from signaling.policy.decide import Terms
from signaling.ports import Later
from tests.unit.signaling.fakes import (
    FakeAudit,
    FakeAuthenticator,
    FakeClock,
    FakeEntropy,
    FakeMedia,
    FakePeer,
    claims,
)

FIRST_OFFER = "0:audio:recvonly 1:video:recvonly"


class FakeSocket:
    """`reads` False is a client whose window is full."""

    def __init__(self, *, reads: bool = True) -> None:
        self.inbox: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self.outbox: list[bytes] = []
        self.closed = False
        self._reads = asyncio.Event()
        if reads:
            self._reads.set()

    async def receive(self) -> bytes | str | None:
        return await self.inbox.get()

    async def send(self, data: bytes) -> None:
        await self._reads.wait()
        self.outbox.append(data)

    async def close(self) -> None:
        self.closed = True

    def stop_reading(self) -> None:
        self._reads.clear()


class Visitor:
    """One client's end."""

    def __init__(self, socket: FakeSocket, task: asyncio.Task[None], peers: list[FakePeer]) -> None:
        self.socket = socket
        self.task = task
        self.peers = peers
        self._read = 0

    async def say(self, **message: Any) -> list[rtc.SignalResponse]:
        """Send one SignalRequest; return what came back by the time all is quiet."""
        await self.say_raw(rtc.SignalRequest(**message).SerializeToString())
        return self.news()

    async def say_raw(self, frame: bytes | str | None) -> None:
        self.socket.inbox.put_nowait(frame)
        await quiet()

    async def offer(self, sdp: str, number: int = 1) -> list[rtc.SignalResponse]:
        return await self.say(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=number))

    async def publish(self, cid: str, kind: str, mid: str) -> str:
        """Announce and offer a track; return its sid."""
        video = kind == "video"
        news = await self.say(
            add_track=rtc.AddTrackRequest(
                cid=cid,
                type=models.TrackType.VIDEO if video else models.TrackType.AUDIO,
                source=models.TrackSource.CAMERA if video else models.TrackSource.MICROPHONE,
            )
        )
        sid: str = one(news, "track_published").track_published.track.sid
        one(await self.offer(f"{mid}:{kind}:sendonly:{cid}"), "answer")
        return sid

    def news(self) -> list[rtc.SignalResponse]:
        """What was received since the last look."""
        fresh = self.socket.outbox[self._read :]
        self._read = len(self.socket.outbox)
        return [rtc.SignalResponse.FromString(data) for data in fresh]


class House:
    """A door with everything behind it."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        terms: Terms | None = None,
        queue: int = 1_024,
        queue_bytes: int = 1024 * 1024,
        later: Later | None = None,
    ) -> None:
        self.media = FakeMedia()
        self.clock = FakeClock()
        self.audit = FakeAudit()
        self.authenticator = FakeAuthenticator()
        self.calls = Calls(
            media=self.media,
            clock=self.clock,
            entropy=FakeEntropy(),
            audit=self.audit,
            stamp=stamp,
            limits=limits,
            terms=terms,
            later=later,
        )
        self.door = LiveKitDoor(
            calls=self.calls,
            authenticator=self.authenticator,
            clock=self.clock,
            make_outgoing=lambda: Outgoing(max_messages=queue, max_bytes=queue_bytes),
        )

    def knock(self, asked: Claims, request: rtc.JoinRequest | None) -> Knock:
        """For `/rtc/v1` with a join request, for `/rtc` without."""
        self.authenticator.claims[asked.identity] = asked
        if request is None:
            return Knock("/rtc", {"protocol": "17"}, f"Bearer {asked.identity}")
        return Knock("/rtc/v1", {"join_request": wrap(request)}, f"Bearer {asked.identity}")

    async def join(
        self,
        identity: str = "ada",
        *,
        dual: bool = False,
        offer: str | None = FIRST_OFFER,
        auto_subscribe: bool = True,
        adaptive_stream: bool = False,
        connected: bool = True,
        protocol: int = 17,
        **fields: Any,
    ) -> Visitor:
        """Come in and connect; look at :meth:`Visitor.news` for what was said."""
        request = rtc.JoinRequest(
            client_info=models.ClientInfo(protocol=protocol, client_protocol=2),
            connection_settings=rtc.ConnectionSettings(
                auto_subscribe=auto_subscribe, adaptive_stream=adaptive_stream
            ),
        )
        if offer is not None:
            request.publisher_offer.CopyFrom(rtc.SessionDescription(type="offer", sdp=offer, id=1))
        knock = self.knock(claims(identity, **fields), None if dual else request)
        before = len(self.media.peers)
        admission = await self.door.admit(knock)
        socket = FakeSocket()
        task = asyncio.create_task(admission.run(socket))
        visitor = Visitor(socket, task, self.media.peers[before:])
        await quiet()
        if connected:
            for peer in visitor.peers:
                peer.events.on_connected()
            await quiet()
        return visitor


async def quiet() -> None:
    """Let everything that can happen without time passing happen."""
    for _ in range(30):
        await asyncio.sleep(0)


def wrap(request: rtc.JoinRequest) -> str:
    wrapped = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.GZIP,
        join_request=gzip.compress(request.SerializeToString()),
    )
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def kinds(messages: list[rtc.SignalResponse]) -> list[str]:
    return [str(message.WhichOneof("message")) for message in messages]


def one(messages: list[rtc.SignalResponse], kind: str) -> rtc.SignalResponse:
    """The only message of that kind."""
    found = [message for message in messages if message.WhichOneof("message") == kind]
    assert len(found) == 1, f"{kind} among {kinds(messages)}"
    return found[0]


async def feel(visitor: Visitor, condition: Condition, transport: int = 0) -> None:
    """How one of a visitor's transports does from now on."""
    visitor.peers[transport].events.on_condition(condition)
    await quiet()
