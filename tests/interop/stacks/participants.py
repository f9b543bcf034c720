"""Every stack behind one face: it sends a show to a room, and recognises another's show in it."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from livekit import rtc

from tests.browser.driver import BrowserName
from tests.browser.recognise import Sample, Seen, heard_tone, seen_picture
from tests.browser.sources import FRAME_RATE, Pattern, frames
from tests.interop.sdk import PATIENCE, Caller, Way, token_for
from tests.interop.stacks import media
from tests.interop.stacks.program import Program
from tests.interop.visitor import Visitor
from tests.node import Node

KEEP_SECONDS = 6.0  # what a program keeps before it is judged; two of them must be right
KEEP_AGAIN = 9  # times, where a busy machine has not kept two that are right
OTHERS = '[data-testid="participant-tile"][data-local="false"] video'


@dataclass(frozen=True, slots=True)
class Show:
    """What a sender sends, so that a receiver can tell it from anything else."""

    hz: int
    pattern: Pattern | None
    """None for Firefox, whose fake camera is its own."""

    def is_shown_in(self, seen: Seen) -> bool:
        if self.pattern is None:
            return seen.is_firefox_camera()
        return seen.is_pattern(self.pattern)


@dataclass(frozen=True, slots=True)
class Only:
    """The only suite and profile that a client is told to offer; None for its own choice."""

    suite: str | None = None
    profile: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        given = (("--suite", self.suite), ("--profile", self.profile))
        return tuple(
            itertools.chain.from_iterable((k, v) for k, v in given if v is not None),
        )


class Sender(Protocol):
    """Somebody whose show is on its way."""

    @property
    def token(self) -> str:
        """The bearer, to ask the server for the record of this participant's transports."""

    async def tells(self) -> tuple[str, str] | None:
        """The suite and the profile by the stack's own word; None if it cannot tell."""


class Receiver(Protocol):
    """Somebody who listens and watches."""

    @property
    def token(self) -> str: ...

    async def tells(self) -> tuple[str, str] | None: ...

    async def recognises(self, show: Show) -> None:
        """Hear and see the show; raises AssertionError."""


class Stack(Protocol):
    """What can come into a room, to send or to receive."""

    def sending(self, node: Node, room: str, show: Show) -> AbstractAsyncContextManager[Sender]:
        """Come in and send; entered when the transport is connected."""

    def receiving(self, node: Node, room: str) -> AbstractAsyncContextManager[Receiver]:
        """Come in after the sender; entered when the transport is connected."""


# --- Programs, through WHIP and WHEP --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Doors:
    """A stack without an SDK of ours or LiveKit's."""

    command: Callable[[], tuple[str, ...]]
    only: Only = Only()

    @asynccontextmanager
    async def sending(self, node: Node, room: str, show: Show) -> AsyncIterator[Sender]:
        assert show.pattern is not None
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            audio, video = folder / "tone.ogg", folder / "pattern.ivf"
            media.write_tone(audio, show.hz)
            media.write_pattern(video, show.pattern)
            played = ("--audio", str(audio), "--video", str(video))
            command = (*self.command(), "send", "--whip", f"{node.origin}/whip/{room}", *played)
            token = token_for(node, room, "sender")
            async with Program.started(
                (*command, *self.only.arguments), node, token, folder
            ) as running:
                await running.until("connected")
                yield running

    @asynccontextmanager
    async def receiving(self, node: Node, room: str) -> AsyncIterator[Receiver]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            door = f"{node.origin}/whep/{room}"
            command = (*self.command(), "receive", "--whep", door, "--out", str(folder))
            token = token_for(node, room, "receiver")
            async with Program.started(
                (*command, *self.only.arguments), node, token, folder
            ) as running:
                await running.until("connected")
                yield _Keeping(running, folder)


@dataclass(frozen=True, slots=True)
class _Keeping:
    """A program that keeps what arrives; judged when it has left."""

    running: Program
    folder: Path

    @property
    def token(self) -> str:
        return self.running.token

    async def tells(self) -> tuple[str, str] | None:
        return await self.running.tells()

    async def recognises(self, show: Show) -> None:
        for _ in range(1 + KEEP_AGAIN):
            await asyncio.sleep(KEEP_SECONDS)  # the others' clocks are real
            try:
                await asyncio.to_thread(self._judge, show)
            except media.NotReadable:
                break  # it writes when it leaves
            except AssertionError:
                continue
            break
        await self.running.leave()
        await self.running.until("ended")
        await asyncio.to_thread(self._judge, show)

    def _judge(self, show: Show) -> None:
        media.is_tone_kept(self.folder, show.hz)
        media.is_picture_kept(self.folder, show.is_shown_in)


# --- The LiveKit Python SDK -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sdk:
    """The LiveKit Python SDK."""

    @asynccontextmanager
    async def sending(self, node: Node, room: str, show: Show) -> AsyncIterator[Sender]:
        assert show.pattern is not None
        canvas = rtc.VideoSource(media.WIDTH, media.HEIGHT)
        token = token_for(node, room, "sender")
        async with Caller.joined(node, room, "sender", token=token) as caller:
            filming = asyncio.create_task(_film(canvas, show.pattern))
            try:
                await caller.publish_tone(show.hz)
                track = rtc.LocalVideoTrack.create_video_track("pattern", canvas)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
                publishing = caller.room.local_participant.publish_track(track, options)
                await asyncio.wait_for(publishing, PATIENCE)
                yield _Listening(caller)
            finally:
                filming.cancel()

    @asynccontextmanager
    async def receiving(self, node: Node, room: str) -> AsyncIterator[Receiver]:
        token = token_for(node, room, "listener")
        async with Caller.joined(node, room, "listener", token=token, way=Way.TWO) as caller:
            yield _Listening(caller)


@dataclass(frozen=True, slots=True)
class _Listening:
    """A caller of the SDK, who may send, too."""

    caller: Caller

    @property
    def token(self) -> str:
        return self.caller.token

    async def tells(self) -> tuple[str, str] | None:
        return None  # tests/interop/test_python_sdk_crypto.py holds its word against the record

    async def recognises(self, show: Show) -> None:
        await self.caller.until(self._sender, "nobody sends")
        sender = self._sender()
        assert sender is not None
        await self.caller.hears(sender, show.hz)
        stream = self.caller.pictures(sender, format=rtc.VideoBufferType.RGB24)
        samples: list[Sample] = []
        try:
            async with asyncio.timeout(PATIENCE), aclosing(stream) as pictures:
                async for event in pictures:
                    samples.append(_look(event.frame, event.timestamp_us / 1e6))
                    recent = [one for one in samples if one.time > samples[-1].time - 2]
                    if show.is_shown_in(Seen("", *media.LOOK, tuple(recent))):
                        return
        except TimeoutError:
            raise AssertionError(f"not recognised, but {samples[-1:]}") from None
        raise AssertionError("the track ended")

    def _sender(self) -> str | None:
        """Who publishes; WHEP viewers are in the room, too."""
        people = self.caller.room.remote_participants
        return next((who for who, each in people.items() if each.track_publications), None)


async def _film(canvas: rtc.VideoSource, pattern: Pattern) -> None:
    every = FRAME_RATE // media.FRAMES_PER_SECOND
    pictures = []
    for picture in itertools.islice(frames(pattern), 0, None, every):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        small = frame.reformat(media.WIDTH, media.HEIGHT, format="yuv420p").to_ndarray()
        pictures.append(
            rtc.VideoFrame(media.WIDTH, media.HEIGHT, rtc.VideoBufferType.I420, small.tobytes())
        )
    for each in itertools.cycle(pictures):
        canvas.capture_frame(each)
        await asyncio.sleep(1 / media.FRAMES_PER_SECOND)


def _look(frame: rtc.VideoFrame, time: float) -> Sample:
    picture = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
    shown = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return media.sample(shown.reformat(*media.LOOK).to_ndarray().astype(float), time)


# --- Browsers on the product's page ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Chromium or Firefox with the product's page."""

    browser: BrowserName

    @asynccontextmanager
    async def sending(self, node: Node, room: str, show: Show) -> AsyncIterator[Sender]:
        async with self.joined(node, room, show) as visiting:
            yield visiting

    @asynccontextmanager
    async def receiving(self, node: Node, room: str) -> AsyncIterator[Receiver]:
        async with self.joined(node, room, Show(3700, Pattern(7))) as visiting:
            yield visiting

    @asynccontextmanager
    async def joined(self, node: Node, room: str, show: Show) -> AsyncIterator[Visiting]:
        """Come in to do both, as people do."""
        pattern = show.pattern or Pattern(0)
        async with Visitor.launched(
            self.browser, node, self.browser.title(), hz=show.hz, pattern=pattern, run=room
        ) as visitor:
            await visitor.join(room)
            yield Visiting(visitor, await visitor.token())


@dataclass(frozen=True, slots=True)
class Visiting:
    """Somebody on the page, who sends and receives."""

    visitor: Visitor
    token: str

    async def tells(self) -> tuple[str, str] | None:
        transports = await self.visitor.transports()
        # The page may have tried again, on a busy machine: the last one is the one in use.
        (*_, transport) = [each for each in transports if each["dtlsState"] == "connected"]
        return transport["dtlsCipher"], transport["srtpCipher"]

    async def recognises(self, show: Show) -> None:
        await heard_tone(self.visitor.page, show.hz)
        await seen_picture(self.visitor.page, show.is_shown_in, OTHERS)
