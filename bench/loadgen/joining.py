"""People who join at a steady pace: how long it takes them, and what it costs the server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Any

from bench.loadgen.stage import PRIME, Stage
from bench.loadgen.venue import VenueError
from bench.process import core_time, cpu_nanoseconds, resident_bytes
from bench.scenarios import Joins

Seen = dict[str, Any]


async def joins(stage: Stage, plan: Joins) -> Seen:
    """Raises VenueError when nobody can speak, or the first cannot join."""
    rooms = [f"bench-{number}" for number in range(plan.rooms)]
    for room in rooms:
        speaker, microphone = stage.person(room), stage.audio()
        await speaker.publish("audio", microphone)
        stage.speaks(speaker, microphone, rate=50)
    talk = asyncio.create_task(stage.driver.stroll(stage.senders))
    # The first join pays for what is imported and cached on first use
    await _one(stage, rooms[0])
    venue = stage.venue
    before = resident_bytes(venue.pid)
    begin, cpu, core = time.monotonic(), cpu_nanoseconds(venue.pid), core_time(venue.core)
    running = []
    for number in range(plan.joins):
        await asyncio.sleep(max(0.0, begin + number / plan.pace - time.monotonic()))
        running.append(asyncio.create_task(_one(stage, rooms[number % len(rooms)])))
    results = await asyncio.gather(*running, return_exceptions=True)
    cpu = cpu_nanoseconds(venue.pid) - cpu
    took = time.monotonic() - begin
    busy = took - (core_time(venue.core).idle - core.idle)
    after = resident_bytes(venue.pid)
    talk.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await talk
    failed = [one for one in results if isinstance(one, BaseException)]
    if failed:
        print(f"{len(failed)} joins failed; the first: {failed[0]!r}", file=sys.stderr)
    return {
        "joins": {
            "pace": plan.pace,
            "rooms": plan.rooms,
            "seconds": took,
            "server_cpu": cpu / 1e9,
            "core_busy": busy,
            "relay": await venue.counters(),
            "failed": len(failed),
            "keys": [one[0] for one in results if not isinstance(one, BaseException)],
            "media": [one[1] for one in results if not isinstance(one, BaseException)],
        },
        "memory": {"before": before, "after": after, "peers": plan.joins},
    }


async def _one(stage: Stage, room: str) -> tuple[float, float]:
    """Seconds from before the TCP connection to the keys, and to the first packet that opened."""
    person = stage.person(room)
    await person.listen(audio=1)
    if person.incoming is None:
        raise VenueError("somebody listens without a transport")
    connected = await person.incoming.connected
    media = await asyncio.wait_for(asyncio.shield(person.incoming.first_media), PRIME)
    return connected - person.began, media - person.began
