"""LiveKit's signalling with one peer connection (`/rtc/v1`), as far as a probe needs it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode, urlsplit

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from sfu.probe.sides import BadDescription, Kind, LocalSide, RemoteSide, offer, remote_side
from sfu.probe.targets import DescriptionRefused, Door, Exchange, Seat, Unreachable, refusal

_PROTOCOL: Final = 17
_PATIENCE: Final = 10.0  # seconds for any answer
_MAX_MESSAGE: Final = 4 * 1024 * 1024  # bytes


class LiveKitTarget:
    """`livekit+wss://host[:port]`, or `livekit+ws://` without TLS."""

    def __init__(
        self, address: str, seats: Sequence[Seat], trust: ssl.SSLContext, *, name: str = ""
    ) -> None:
        """`name` is what reports call it. Raises `ValueError` for what is no such address."""
        url = urlsplit(address.removeprefix("livekit+"))
        if url.scheme not in ("ws", "wss") or url.hostname is None:
            raise ValueError(f"{address} is not livekit+wss://host")
        self.name = name or address
        tls = trust if url.scheme == "wss" else None
        self.door = Door(url.hostname, url.port or (443 if tls else 80), tls)
        self.seats = tuple(seats)
        self.observes = True
        self._base = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"

    async def open(self, seat: Seat, local: LocalSide) -> Exchange:
        """Join with the offer inside the request; the answer follows (LIVEKIT protocol 17)."""
        joined = rtc.JoinRequest(
            client_info=models.ClientInfo(protocol=_PROTOCOL, version="0", client_protocol=2),
            connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
        )
        if not local.sends:
            joined.publisher_offer.CopyFrom(_description(1, offer(local)))
        wrapped = rtc.WrappedJoinRequest(join_request=joined.SerializeToString())
        packed = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
        try:
            socket = await connect(
                f"{self._base}/rtc/v1?{urlencode({'join_request': packed})}",
                ssl=self.door.tls,
                additional_headers={"Authorization": f"Bearer {seat.token}"},
                compression=None,
                proxy=None,
                max_size=_MAX_MESSAGE,
                open_timeout=_PATIENCE,
                close_timeout=1,
                ping_interval=None,
            )
        except InvalidStatus as error:
            answer = error.response
            wait = answer.headers.get("Retry-After")
            raise refusal(answer.status_code, answer.body.decode(errors="replace"), wait) from None
        except (OSError, TimeoutError, WebSocketException) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from None
        exchange = LiveKitExchange(socket, local)
        try:
            await exchange.begin()
        except BaseException:
            await exchange.close()
            raise
        return exchange

    async def close(self) -> None:
        """Nothing was started."""


class LiveKitExchange:
    """One participant's session."""

    def __init__(self, socket: ClientConnection, local: LocalSide) -> None:
        self._socket = socket
        self._local = local
        self._offers = 1
        self._ended: str | None = None
        self._said = ""  # the last refusal
        loop = asyncio.get_running_loop()
        self._joined: asyncio.Future[None] = loop.create_future()
        self._answered: asyncio.Future[str] = loop.create_future()
        self._published: dict[str, asyncio.Future[None]] = {}
        self._tasks = [asyncio.create_task(self._listen())]
        self.remote: RemoteSide

    async def begin(self) -> None:
        """Wait for the answer, announcing what we send before. Raises as `LiveKitTarget.open`."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._joined
                for track in self._local.sends:
                    await self._announce(track.cid, track.kind)
                if self._local.sends:
                    await self._offer()
                answer = await self._answered
        except TimeoutError:
            raise Unreachable("the server did not answer the offer in time") from None
        except ConnectionClosed:
            raise Unreachable("the server closed the session") from None
        try:
            self.remote = remote_side(answer)
        except BadDescription as error:
            raise Unreachable(str(error)) from None

    def ended(self) -> str | None:
        return self._ended

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(ConnectionClosed, TimeoutError, OSError):
            async with asyncio.timeout(2):
                if self._ended is None:
                    await self._say(rtc.SignalRequest(leave=rtc.LeaveRequest()))
                await self._socket.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _announce(self, cid: str, kind: Kind) -> None:
        self._published[cid] = asyncio.get_running_loop().create_future()
        video = kind == "video"
        request = rtc.AddTrackRequest(
            cid=cid,
            name=cid,
            type=models.TrackType.VIDEO if video else models.TrackType.AUDIO,
            source=models.TrackSource.CAMERA if video else models.TrackSource.MICROPHONE,
            width=640 if video else 0,
            height=360 if video else 0,
        )
        await self._say(rtc.SignalRequest(add_track=request))
        await self._published[cid]

    async def _offer(self) -> None:
        self._offers += 1
        sdp = offer(self._local, version=self._offers)
        await self._say(rtc.SignalRequest(offer=_description(self._offers, sdp)))

    async def _say(self, request: rtc.SignalRequest) -> None:
        await self._socket.send(request.SerializeToString())

    async def _ping(self, every: float) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._say(
                    rtc.SignalRequest(ping_req=rtc.Ping(timestamp=int(time.time() * 1000)))
                )
                await asyncio.sleep(every)

    async def _listen(self) -> None:
        try:
            async for message in self._socket:
                if isinstance(message, bytes):
                    await self._take(rtc.SignalResponse.FromString(message))
            self._end("the server closed the session")
        except ConnectionClosed:
            self._end("the session was lost")
        except DecodeError:
            self._end("the server sent something that is no SignalResponse")

    async def _take(self, response: rtc.SignalResponse) -> None:
        match response.WhichOneof("message"):
            case "join":
                if not self._joined.done():
                    self._joined.set_result(None)
                    every = max(1, response.join.ping_interval)
                    self._tasks.append(asyncio.create_task(self._ping(every)))
            case "answer":
                if not self._answered.done():
                    self._answered.set_result(response.answer.sdp)
            case "media_sections_requirement":
                wanted = response.media_sections_requirement
                self._local = _receiving(self._local, "audio", wanted.num_audios)
                self._local = _receiving(self._local, "video", wanted.num_videos)
                await self._offer()
            case "track_published":
                waiting = self._published.get(response.track_published.cid)
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)
            case "request_response":
                if response.request_response.reason != rtc.RequestResponse.Reason.OK:
                    self._said = response.request_response.message
            case "leave":
                reason = models.DisconnectReason.Name(response.leave.reason)
                self._end(self._said or f"Leave, {reason}")
            case _:
                pass

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        waiting: list[asyncio.Future[None] | asyncio.Future[str]] = [self._joined, self._answered]
        for future in [*waiting, *self._published.values()]:
            if not future.done():
                joined = self._joined.done() and self._joined.exception() is None
                future.set_exception(DescriptionRefused(why) if joined else Unreachable(why))
                future.exception()  # seen: nobody may be waiting any more


def _receiving(local: LocalSide, kind: Kind, more: int) -> LocalSide:
    """With so many more sections to receive in, within reason."""
    return replace(local, receives=local.receives + (kind,) * min(8, more))


def _description(number: int, sdp: str) -> rtc.SessionDescription:
    return rtc.SessionDescription(type="offer", sdp=sdp, id=number)
