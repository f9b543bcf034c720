"""LiveKit signalling with one peer connection (`/rtc/v1`), as far as a load generator needs it."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from livekit.protocol import models, rtc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.loadgen.sdp import BadAnswer, Kind
from bench.loadgen.venue import VenueError

PROTOCOL: Final = 17
_PATIENCE: Final = 60.0  # seconds for any answer
_MAX_MESSAGE: Final = 4 * 1024 * 1024
_LAYERS: Final = tuple(
    models.VideoLayer(quality=quality, width=width, height=width * 9 // 16)
    for quality, width in (
        (models.VideoQuality.LOW, 320),
        (models.VideoQuality.MEDIUM, 640),
        (models.VideoQuality.HIGH, 1280),
    )
)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where signalling is, and whom to trust there."""

    host: str
    port: int
    trust: ssl.SSLContext | None  # None: no TLS

    def url(self, join_request: bytes) -> str:
        wrapped = rtc.WrappedJoinRequest(join_request=join_request)
        query = urlencode(
            {"join_request": base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()}
        )
        return f"{'wss' if self.trust else 'ws'}://{self.host}:{self.port}/rtc/v1?{query}"


class SignallingError(VenueError):
    """The server ended the session, or stays silent."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Whom a session tells what the server says, on the event loop."""

    answer: Callable[[int, str], None]
    requirement: Callable[[int, int], None]  # so many receiving sections more: audio, video
    candidate: Callable[[str], None]  # where the server is, beside what its answer says


class Signalling:
    """One session."""

    def __init__(self, connection: ClientConnection, reports: Reports) -> None:
        self._connection = connection
        self._reports = reports
        self._published: dict[str, asyncio.Future[str]] = {}
        self.joined: asyncio.Future[rtc.JoinResponse] = asyncio.get_running_loop().create_future()
        self.failure: str | None = None
        self._tasks = [asyncio.create_task(self._listen())]

    @classmethod
    async def open(
        cls,
        server: ServerAddress,
        token: str,
        offer: str | None,
        auto_subscribe: bool,
        reports: Reports,
    ) -> Signalling:
        """Connect and join; returns once the server has said Join. Raises `SignallingError`."""
        request = rtc.JoinRequest(
            client_info=models.ClientInfo(protocol=PROTOCOL, version="0", client_protocol=2),
            connection_settings=rtc.ConnectionSettings(auto_subscribe=auto_subscribe),
        )
        if offer is not None:
            request.publisher_offer.CopyFrom(rtc.SessionDescription(type="offer", sdp=offer, id=1))
        connection = await connect(
            server.url(request.SerializeToString()),
            ssl=server.trust,
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            proxy=None,
            max_size=_MAX_MESSAGE,
            ping_interval=None,
        )
        session = cls(connection, reports)
        try:
            join = await asyncio.wait_for(asyncio.shield(session.joined), _PATIENCE)
        except TimeoutError:
            raise SignallingError("the server said nothing after the upgrade") from None
        session._tasks.append(asyncio.create_task(session._ping(max(1, join.ping_interval))))
        return session

    async def offer(self, number: int, sdp: str) -> None:
        """Send an offer; the answer is reported."""
        description = rtc.SessionDescription(type="offer", sdp=sdp, id=number)
        await self._send(rtc.SignalRequest(offer=description))

    async def mute(self, sid: str, muted: bool) -> None:
        """Say that a track of ours is silent, or not any more."""
        await self._send(rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid=sid, muted=muted)))

    async def choose(self, sid: str, quality: models.VideoQuality | None) -> None:
        """Which layer of somebody's track we want; None for nothing."""
        setting = rtc.UpdateTrackSettings(track_sids=[sid], disabled=quality is None)
        if quality is not None:
            setting.quality = quality
        await self._send(rtc.SignalRequest(track_setting=setting))

    async def add_track(self, cid: str, kind: Kind, *, layered: bool = False) -> str:
        """Announce a track; its sid once the server has accepted it."""
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._published[cid] = waiting
        video = kind == "video"
        request = rtc.AddTrackRequest(
            cid=cid,
            name=kind,
            type=models.TrackType.VIDEO if video else models.TrackType.AUDIO,
            source=models.TrackSource.CAMERA if video else models.TrackSource.MICROPHONE,
            width=1280 if video else 0,
            height=720 if video else 0,
            layers=_LAYERS if layered else (),
        )
        await self._send(rtc.SignalRequest(add_track=request))
        try:
            return await asyncio.wait_for(waiting, _PATIENCE)
        except TimeoutError:
            raise SignallingError("the track was not published in time") from None

    async def close(self) -> None:
        """Leave and hang up."""
        for task in self._tasks:
            task.cancel()
        try:
            await self._send(rtc.SignalRequest(leave=rtc.LeaveRequest()))
            await self._connection.close()
        except (ConnectionClosed, SignallingError):
            return

    async def _send(self, request: rtc.SignalRequest) -> None:
        if self.failure is not None:
            raise SignallingError(self.failure)
        await self._connection.send(request.SerializeToString())

    async def _ping(self, interval: float) -> None:
        while self.failure is None:
            ping = rtc.Ping(timestamp=int(time.time() * 1000))
            await self._send(rtc.SignalRequest(ping_req=ping))
            await asyncio.sleep(interval)

    async def _listen(self) -> None:
        try:
            async for message in self._connection:
                if isinstance(message, bytes):
                    self._take(rtc.SignalResponse.FromString(message))
            self._fail("the server closed the session")
        except ConnectionClosed:
            self._fail("the session was lost")
        except BadAnswer as error:
            self._fail(f"the answer is of no use: {error}")

    def _take(self, response: rtc.SignalResponse) -> None:
        match response.WhichOneof("message"):
            case "join":
                if not self.joined.done():
                    self.joined.set_result(response.join)
            case "answer":
                self._reports.answer(response.answer.id, response.answer.sdp)
            case "trickle":
                self._candidate(response.trickle.candidateInit)
            case "media_sections_requirement":
                wanted = response.media_sections_requirement
                self._reports.requirement(wanted.num_audios, wanted.num_videos)
            case "track_published":
                waiting = self._published.pop(response.track_published.cid, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(response.track_published.track.sid)
            case "leave":
                self._fail(f"the server said Leave, reason {response.leave.reason}")
            case "request_response":
                refusal = response.request_response
                if refusal.reason != rtc.RequestResponse.Reason.OK:
                    self._fail(f"the server refused a request: {refusal.message}")
            case _:
                pass

    def _candidate(self, told: str) -> None:
        try:
            candidate = str(json.loads(told)["candidate"])
        except (ValueError, TypeError, KeyError):
            raise BadAnswer("a candidate that cannot be read") from None
        if candidate:  # else there are no more
            self._reports.candidate(candidate)

    def _fail(self, why: str) -> None:
        if self.failure is None:
            self.failure = why
        waiting: list[asyncio.Future[Any]] = [self.joined, *self._published.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(SignallingError(why))
                future.exception()  # seen: nobody may be waiting any more
