"""A call that runs while something bad happens beside it: two LiveKit SDKs, one tone, recorded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc

from tests.interop.sdk import Caller
from tests.interop.signals import RATE, Samples
from tests.node import Node
from tests.patience import PATIENCE

TONE = 440.0  # Hz
GAP = 1.0
"""Seconds; a concealed lost packet is 0.02. Not one may be lost: this is for a relay that stands
still, and is longer than any process of a busy machine waits for its turn.
"""
WINDOW = RATE // 50
SKIPS = ("rtp_skip_too_late", "rtp_skip_consent", "rtp_skip_expired")
"""Reasons of the relay not to forward a packet of the tone. Others have to do with whoever joins
beside the listener, and padding carries no sound.
"""
ROOM = "canary-room-of-the-running-call"


@dataclass
class RunningCall:
    """A speaker and a listener whose every sample is kept."""

    node: Node
    speaker: Caller
    listener: Caller
    track: rtc.Track
    _heard: list[Samples] = field(default_factory=list, repr=False)
    _samples: int = 0

    @classmethod
    @asynccontextmanager
    async def on(cls, node: Node) -> AsyncIterator[RunningCall]:
        async with AsyncExitStack() as stack:
            speaker = await stack.enter_async_context(
                Caller.joined(node, ROOM, "Canary Name of the speaker")
            )
            listener = await stack.enter_async_context(
                Caller.joined(node, ROOM, "Canary Name of the listener")
            )
            singing = asyncio.create_task(_sing(await _microphone(speaker)))
            stack.push_async_callback(_cancel, singing)
            track = await listener.track_of(speaker.identity, rtc.TrackKind.KIND_AUDIO)
            call = cls(node, speaker, listener, track)
            recording = asyncio.create_task(call._record())
            try:
                await call._settle()
                yield call
            finally:
                await _cancel(recording)

    @asynccontextmanager
    async def untouched(self) -> AsyncIterator[None]:
        """The block happens, and the call does not notice: the tone has no gap, nobody left,
        no packet was lost on the way or held back by the relay.
        """
        begin = self._samples
        lost, skipped = await self._lost(), await self._skipped()
        with _stalls() as stalls:
            yield
            await self._until(self._samples + RATE // 2)
        sound = np.concatenate(self._heard)[begin:]
        gap = longest_gap(sound)
        # What this very process slept through, callers included, is not the server's doing.
        assert gap <= GAP + max(stalls), f"{gap:.2f} s without the tone"
        losses = (await self._lost() - lost, await self._skipped() - skipped)
        assert losses == (0, Counter()), losses
        assert self.speaker.identity in self.listener.room.remote_participants
        assert self.listener.room.connection_state == rtc.ConnectionState.CONN_CONNECTED
        assert self.speaker.room.connection_state == rtc.ConnectionState.CONN_CONNECTED
        assert self.node.process.returncode is None

    async def relay(self) -> Counter[str]:
        """The relay's counters, by their own names."""
        found = {}
        for name, value in (await self.node.metrics()).items():
            if name.startswith("conclave_relay_total"):
                found[name.split('"')[1]] = int(value)
        return Counter(found)

    async def counted(self, before: Counter[str], **least: int) -> Counter[str]:
        """What the relay has counted since `before`, once it is at least this."""
        deadline = time.monotonic() + PATIENCE
        while True:
            seen = await self.relay() - before
            if all(seen[name] >= count for name, count in least.items()):
                return seen
            assert time.monotonic() < deadline, f"not {least}, but {dict(seen)}"
            await asyncio.sleep(0.02)

    async def _record(self) -> None:
        stream = rtc.AudioStream(self.track, sample_rate=RATE, num_channels=1)
        try:
            async for event in stream:
                self._heard.append(np.frombuffer(event.frame.data, np.int16).copy())
                self._samples += len(self._heard[-1])
        finally:
            await stream.aclose()

    async def _settle(self) -> None:
        """Wait for half a second of pure tone."""
        async with asyncio.timeout(PATIENCE):
            while True:
                await self._until(self._samples + RATE // 2)
                if longest_gap(np.concatenate(self._heard)[-RATE // 2 :]) == 0:
                    return

    async def _until(self, samples: int) -> None:
        await until(lambda: self._samples >= samples)

    async def _lost(self) -> int:
        """Packets of the tone that never reached the listener, as its own stack counts them."""
        stats = await self.track.get_stats()
        return sum(
            one.inbound_rtp.received.packets_lost for one in stats if one.HasField("inbound_rtp")
        )

    async def _skipped(self) -> Counter[str]:
        counters = await self.relay()
        return Counter({name: counters[name] for name in SKIPS})


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes about in other threads or processes."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def _microphone(speaker: Caller) -> rtc.AudioSource:
    """Published, with seconds of cushion: what this process is busy with must not be heard."""
    source = rtc.AudioSource(RATE, 1, queue_size_ms=4_000)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await speaker.room.local_participant.publish_track(track, options)
    return source


async def _sing(source: rtc.AudioSource) -> None:
    at = np.arange(RATE // 10) / RATE  # whole periods of the tone
    wave = (np.sin(2 * np.pi * TONE * at) * 12_000).astype(np.int16)
    while True:
        await source.capture_frame(rtc.AudioFrame(wave.tobytes(), RATE, 1, len(wave)))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextmanager
def _stalls() -> Iterator[list[float]]:
    """The longest time, in seconds, that a thread of this process was late to run."""
    longest, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            before = time.monotonic()
            time.sleep(0.02)
            longest[0] = max(longest[0], time.monotonic() - before - 0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield longest
    finally:
        over.set()
        thread.join()


def longest_gap(sound: Samples) -> float:
    """Seconds of the longest run of windows, 20 ms each, that do not hold the tone."""
    windows = sound[: len(sound) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float64)
    carrier = np.exp(-2j * np.pi * TONE * np.arange(WINDOW) / RATE)
    tone = np.abs(windows @ carrier) ** 2 * 2 / WINDOW
    energy = (windows**2).sum(axis=1)
    holds = (tone > 0.8 * energy) & (energy > WINDOW * 1000.0**2)
    longest = run = 0
    for window in holds:
        run = 0 if window else run + 1
        longest = max(longest, run)
    return longest * WINDOW / RATE
