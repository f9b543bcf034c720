"""The LiveKit Python SDK as a caller: publishes tones and pictures, recognises what it receives."""

from __future__ import annotations

import asyncio
import enum
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from livekit import api, rtc

from tests.interop.signals import NUMBERS, RATE, STEP, Samples, Sight, look, paint, peak_hz, tone
from tests.node import Node
from tests.patience import PATIENCE as PATIENCE

FRAMES_PER_SECOND = 15
EMPTY = 5.0  # seconds without a picture after which a stream of the SDK is opened again
LAYERS = ((320, 180), (640, 360), (960, 540))
"""What a camera of the largest size is sent as. From this width on a client makes three."""
LARGEST = LAYERS[-1]

AUDIO = rtc.TrackKind.KIND_AUDIO
VIDEO = rtc.TrackKind.KIND_VIDEO
KEEP_SIZE = rtc.DegradationPreference.MAINTAIN_RESOLUTION.value

_EVENTS: tuple[rtc.room.EventTypes, ...] = (
    "participant_connected",
    "participant_disconnected",
    "track_published",
    "track_unpublished",
    "track_subscribed",
    "track_unsubscribed",
    "track_muted",
    "track_unmuted",
    "participant_name_changed",
    "participant_metadata_changed",
    "participant_attributes_changed",
    "active_speakers_changed",
    "connection_quality_changed",
    "data_received",
    "disconnected",
    "reconnecting",
)


class Way(enum.Enum):
    """How a caller comes in."""

    ONE = "/rtc/v1"  # one peer connection
    TWO = "/rtc"  # two


@dataclass
class Caller:
    """One participant. Leave by leaving the block of `joined`."""

    room: rtc.Room
    token: str
    events: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    _happened: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def joined(
        cls,
        node: Node,
        room: str,
        name: str,
        *,
        way: Way = Way.ONE,
        token: str | None = None,
        dynacast: bool = False,
        auto_subscribe: bool = True,
    ) -> AsyncIterator[Caller]:
        """Join `room`. The SDK trusts the authority through SSL_CERT_FILE, until the block ends:
        other clients of this process read it, too.
        """
        if token is None:
            token, _ = await node.token(room, name)
        caller = cls(rtc.Room(), token)
        for event in _EVENTS:
            caller._note(event)
        options = rtc.RoomOptions(
            auto_subscribe=auto_subscribe,
            single_peer_connection=way is Way.ONE,
            dynacast=dynacast,
        )
        with _trust.placed_in(node.authority):
            await asyncio.wait_for(caller.room.connect(node.url, token, options), PATIENCE)
            try:
                yield caller
            finally:
                await caller.leave()

    async def leave(self) -> None:
        """Hang up; idempotent."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.wait_for(self.room.disconnect(), PATIENCE)
        failures = [each for each in ended if isinstance(each, Exception)]
        assert not failures, f"the caller's own sending failed: {failures}"

    @property
    def identity(self) -> str:
        return self.room.local_participant.identity

    @property
    def sid(self) -> str:
        return self.room.local_participant.sid

    # --- Sending --------------------------------------------------------------------------------

    async def publish_tone(
        self,
        hertz: float,
        source: rtc.TrackSource.ValueType = rtc.TrackSource.SOURCE_MICROPHONE,
        options: rtc.TrackPublishOptions | None = None,
    ) -> rtc.LocalTrackPublication:
        """Publish a sine until the block ends."""
        sound = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("tone", sound)
        options = options or rtc.TrackPublishOptions(source=source)
        publication = await self._publish(track, options)
        self._tasks.append(asyncio.create_task(_sing(sound, hertz)))
        return publication

    async def publish_picture(
        self,
        painter: int,
        width: int = LARGEST[0],
        height: int = LARGEST[1],
        options: rtc.TrackPublishOptions | None = None,
        *,
        noise: bool = False,
    ) -> rtc.LocalTrackPublication:
        """Publish pictures of `painter`, by default as a camera: simulcast. On a busy machine they
        become fewer, not smaller.
        """
        wished = rtc.TrackPublishOptions(degradation_preference=KEEP_SIZE)
        wished.MergeFrom(options or rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA))
        is_screen = wished.source == rtc.TrackSource.SOURCE_SCREENSHARE
        canvas = rtc.VideoSource(width, height, is_screencast=is_screen)
        track = rtc.LocalVideoTrack.create_video_track("picture", canvas)
        # It runs first: a client starts no encoder before it has seen a frame.
        self._tasks.append(asyncio.create_task(_film(canvas, painter, width, height, noise)))
        return await self._publish(track, wished)

    async def _publish(
        self, track: rtc.LocalTrack, options: rtc.TrackPublishOptions
    ) -> rtc.LocalTrackPublication:
        publishing = self.room.local_participant.publish_track(track, options)
        return await asyncio.wait_for(publishing, PATIENCE)

    # --- Receiving ------------------------------------------------------------------------------

    async def hears(
        self, other: Caller | str, hertz: float, *, seconds: float = 0.5, sid: str | None = None
    ) -> float:
        """Wait until somebody's sound is that tone, or silence for 0, for so many seconds; the
        frequency as it was heard.
        """
        recent = np.zeros(0, np.int16)
        wanted = int(seconds * RATE)
        peak = -1.0
        try:
            async with asyncio.timeout(PATIENCE):
                async for samples in self._sound(other, sid):
                    recent = np.concatenate((recent, samples))
                    if len(recent) >= wanted:
                        peak, recent = peak_hz(recent), recent[:0]
                        if abs(peak - hertz) <= 2 / seconds:
                            return peak
        except TimeoutError:
            raise AssertionError(f"{hertz} Hz was not heard, but {peak} Hz") from None
        raise AssertionError("the track ended")

    async def sees(
        self,
        other: Caller | str,
        painter: int,
        size: tuple[int, int] = LARGEST,
        *,
        frames: int = 10,
        sid: str | None = None,
    ) -> list[Sight]:
        """Wait for so many pictures in a row of that painter and size, each newer than the last."""
        row: list[Sight] = []
        last: Sight | None = None
        try:
            async with asyncio.timeout(PATIENCE), aclosing(self.pictures(other, sid)) as pictures:
                async for event in pictures:
                    frame = event.frame
                    plane = frame.get_plane(0)
                    assert plane is not None
                    luma = np.frombuffer(plane, np.uint8).reshape(frame.height, frame.width)
                    last = look(luma)
                    newer = not row or 0 < (last.number - row[-1].number) % NUMBERS < NUMBERS / 2
                    right = (last.width, last.height) == size and last.painter == painter
                    row = [*row, last] if newer and right and last.whole else []
                    if len(row) == frames:
                        return row
        except TimeoutError:
            raise AssertionError(f"painter {painter} at {size} was not seen, but {last}") from None
        raise AssertionError("the track ended")

    async def pictures(
        self,
        other: Caller | str,
        sid: str | None = None,
        format: rtc.VideoBufferType.ValueType = rtc.VideoBufferType.I420,
    ) -> AsyncGenerator[rtc.VideoFrameEvent, None]:
        """Pictures of a track, from now on. One stream of the SDK in some dozens stays empty on a
        busy machine, though its statistics count what it decodes: then another is opened. Nothing
        is asked of the server for that.
        """
        while True:
            track = await self.track_of(other, VIDEO, sid)
            stream = rtc.VideoStream(track, format=format)
            try:
                while True:
                    yield await asyncio.wait_for(anext(stream), EMPTY)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                return
            finally:
                await stream.aclose()

    async def track_of(
        self, other: Caller | str, kind: rtc.TrackKind.ValueType, sid: str | None = None
    ) -> rtc.Track:
        """A subscribed track of that kind of somebody."""

        def found() -> rtc.Track | None:
            for publication in self.publications(other):
                if publication.kind == kind and sid in (None, publication.sid):
                    return publication.track
            return None

        await self.until(lambda: found() is not None, "the track was never subscribed")
        track = found()
        assert track is not None
        return track

    def publications(self, other: Caller | str) -> list[rtc.RemoteTrackPublication]:
        """What somebody, a caller or an identity, publishes, as this caller knows it."""
        identity = other if isinstance(other, str) else other.identity
        participant = self.room.remote_participants.get(identity)
        return [] if participant is None else list(participant.track_publications.values())

    def happened(self, event: str) -> list[tuple[Any, ...]]:
        """The arguments of each event of that name so far."""
        return [arguments for name, arguments in self.events if name == event]

    async def until(self, condition: Callable[[], object], otherwise: str) -> None:
        """Wait until it holds; looked at after each event of the room."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self._happened.clear()
                    await self._happened.wait()
        except TimeoutError:
            raise AssertionError(f"{otherwise}: {[name for name, _ in self.events]}") from None

    async def _sound(self, other: Caller | str, sid: str | None) -> AsyncIterator[Samples]:
        track = await self.track_of(other, AUDIO, sid)
        async with aclosing(samples_of(track)) as sounds:
            async for samples in sounds:
                yield samples

    def _note(self, event: rtc.room.EventTypes) -> None:
        def note(*arguments: Any) -> None:
            self.events.append((event, arguments))
            self._happened.set()

        self.room.on(event, note)


async def samples_of(track: rtc.Track) -> AsyncGenerator[Samples, None]:
    """Its sound, a tenth of a second at a time."""
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=100)
    try:
        async for event in stream:
            yield np.frombuffer(event.frame.data, np.int16).copy()
    finally:
        await stream.aclose()


class _Trust:
    """The SDK's Rust half reads its authorities from the process's environment. Callers overlap in
    any order, so the first one changes it and the last one puts it back.
    """

    def __init__(self) -> None:
        self._callers = 0
        self._before: str | None = None

    @contextmanager
    def placed_in(self, authority: Path) -> Iterator[None]:
        if self._callers == 0:
            self._before = os.environ.get("SSL_CERT_FILE")
        self._callers += 1
        os.environ["SSL_CERT_FILE"] = str(authority)
        try:
            yield
        finally:
            self._callers -= 1
            if self._callers == 0:
                self._restore()

    def _restore(self) -> None:
        if self._before is None:
            os.environ.pop("SSL_CERT_FILE", None)
        else:
            os.environ["SSL_CERT_FILE"] = self._before


_trust = _Trust()


async def eventually(look: Callable[[], Awaitable[object]], otherwise: str) -> None:
    """Wait until it holds; looked at again and again, for what nobody tells."""
    deadline = time.monotonic() + PATIENCE
    while not await look():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.1)


def token_for(node: Node, room: str, name: str, **grants: Any) -> str:
    """A token of the node's own key; `grants` are those of `livekit.api.VideoGrants`."""
    key, secret = node.keys
    allowed = api.VideoGrants(room_join=True, room=room, **grants)
    return api.AccessToken(key, secret).with_identity(name).with_grants(allowed).to_jwt()


async def _sing(source: rtc.AudioSource, hertz: float) -> None:
    step = 0
    while True:
        await source.capture_frame(rtc.AudioFrame(tone(hertz, step).tobytes(), RATE, 1, STEP))
        step += 1


async def _film(
    source: rtc.VideoSource, painter: int, width: int, height: int, noise: bool
) -> None:
    number = 0
    while True:
        picture = paint(width, height, painter, number, noise=noise)
        source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, picture))
        number += 1
        await asyncio.sleep(1 / FRAMES_PER_SECOND)
