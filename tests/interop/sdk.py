"""The LiveKit Python SDK as a caller: publishes tones, recognises what it receives."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from livekit import rtc

from tests.node import Node

RATE = 48_000
STEP = RATE // 100  # samples of 10 ms
PATIENCE = 10.0  # seconds to wait for anything

Samples = npt.NDArray[np.int16]


@dataclass
class Caller:
    """One participant. Leave by leaving the block of `joined`."""

    room: rtc.Room
    token: str
    identity: str
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def joined(cls, node: Node, room: str, name: str) -> AsyncIterator[Caller]:
        """Join `room`; the SDK trusts the node's authority through SSL_CERT_FILE."""
        token, identity = await node.token(room, name)
        os.environ["SSL_CERT_FILE"] = str(node.authority)
        caller = cls(rtc.Room(), token, identity)
        await asyncio.wait_for(caller.room.connect(node.url, token), PATIENCE)
        try:
            yield caller
        finally:
            for task in caller._tasks:
                task.cancel()
            await asyncio.gather(*caller._tasks, return_exceptions=True)
            await caller.room.disconnect()

    async def publish_tone(self, hertz: float) -> rtc.LocalTrackPublication:
        """Publish a sine as the microphone, until the block ends."""
        source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("tone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(_sing(source, hertz)))
        return publication

    async def track_of(self, identity: str, kind: rtc.TrackKind.ValueType) -> rtc.Track:
        """The first subscribed track of that kind of somebody."""
        async with asyncio.timeout(PATIENCE):
            while True:
                participant = self.room.remote_participants.get(identity)
                for publication in participant.track_publications.values() if participant else ():
                    if publication.kind == kind and publication.track is not None:
                        return publication.track
                await asyncio.sleep(0.02)

    async def hear(self, identity: str, *, seconds: float) -> Samples:
        """The last `seconds` of sound, after as long to settle."""
        track = await self.track_of(identity, rtc.TrackKind.KIND_AUDIO)
        wanted = int(seconds * RATE)
        heard: list[Samples] = []
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        try:
            async with asyncio.timeout(PATIENCE + 2 * seconds):
                async for event in stream:
                    heard.append(np.frombuffer(event.frame.data, np.int16).copy())
                    if sum(map(len, heard)) >= 2 * wanted:
                        break
        finally:
            await stream.aclose()
        return np.concatenate(heard)[-wanted:]


def peak_hz(samples: Samples) -> float:
    """The loudest frequency; 0 for silence."""
    if samples.std() < 100:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


async def _sing(source: rtc.AudioSource, hertz: float) -> None:
    step = 0
    while True:
        at = (np.arange(STEP) + step * STEP) / RATE
        wave = (np.sin(2 * np.pi * hertz * at) * 12_000).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(wave.tobytes(), RATE, 1, STEP))
        step += 1
