"""A call that runs while something bad happens beside it: two LiveKit SDKs, one tone, recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc

from tests.interop.sdk import Caller
from tests.interop.signals import RATE, Samples
from tests.node import Node

TONE = 440.0  # Hz
GAP = 0.2  # seconds; a concealed lost packet is 0.02
WINDOW = RATE // 50
PATIENCE = 30.0
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
            await speaker.publish_tone(TONE)
            track = await listener.track_of(speaker.identity, rtc.TrackKind.KIND_AUDIO)
            call = cls(node, speaker, listener, track)
            recording = asyncio.create_task(call._record())
            try:
                await call._settle()
                yield call
            finally:
                recording.cancel()
                await asyncio.gather(recording, return_exceptions=True)

    @asynccontextmanager
    async def untouched(self) -> AsyncIterator[None]:
        """The block happens, and the call does not notice: the tone has no gap, nobody left,
        no packet was lost on the way or dropped by the relay for want of anything.
        """
        begin = self._samples
        lost, skipped = await self._lost(), await self._skipped()
        yield
        await self._until(self._samples + RATE // 2)
        sound = np.concatenate(self._heard)[begin:]
        assert longest_gap(sound) <= GAP
        losses = (await self._lost() - lost, await self._skipped() - skipped)
        assert losses == (0, Counter())
        assert self.speaker.identity in self.listener.room.remote_participants
        assert self.listener.room.connection_state == rtc.ConnectionState.CONN_CONNECTED
        assert self.speaker.room.connection_state == rtc.ConnectionState.CONN_CONNECTED
        assert self.node.process.returncode is None

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
        async with asyncio.timeout(PATIENCE):
            while self._samples < samples:
                await asyncio.sleep(0.02)

    async def _lost(self) -> int:
        """Packets of the tone that never reached the listener, as its own stack counts them."""
        stats = await self.track.get_stats()
        return sum(
            one.inbound_rtp.received.packets_lost for one in stats if one.HasField("inbound_rtp")
        )

    async def _skipped(self) -> Counter[str]:
        metrics = await self.node.metrics()
        return Counter({name: int(value) for name, value in metrics.items() if "rtp_skip" in name})


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
