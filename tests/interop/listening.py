"""What somebody hears of somebody for a while, and what of it never came."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from tests.interop.sdk import AUDIO, Caller, samples_of
from tests.interop.signals import peak_hz


async def longest_silence(
    listener: Caller, speaker: Caller, hertz: float, *, until: asyncio.Event
) -> float:
    """The longest time for which the tone was not heard, in seconds, to a tenth."""
    track = await listener.track_of(speaker, AUDIO)
    longest = silent = 0.0
    async with aclosing(samples_of(track)) as sounds:
        async for samples in sounds:
            silent = 0.0 if abs(peak_hz(samples) - hertz) <= 20 else silent + 0.1
            longest = max(longest, silent)
            if until.is_set():
                break
    return longest


async def packets_lost(listener: Caller, speaker: Caller) -> int:
    """How many packets of the sound that is heard have never come."""
    track = await listener.track_of(speaker, AUDIO)
    statistics = await track.get_stats()
    return sum(
        one.inbound_rtp.received.packets_lost
        for one in statistics
        if one.WhichOneof("stats") == "inbound_rtp"
    )
