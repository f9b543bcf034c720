"""People who join at a steady pace: how long it takes them, and what it costs the server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bench.loadgen.metrics import bound, loop_delays
from bench.loadgen.stage import PRIME, Stage
from bench.loadgen.venue import VenueError
from bench.process import core_time, cpu_nanoseconds, resident_bytes
from bench.scenarios import FanOut, Joins, Scenario

BURST: Final = 25  # packets of a picture, which leave at once
RELAY_CPU: Final = "worker_cpu_ns"
SETTLED: Final = 2.0  # seconds

Seen = dict[str, Any]


async def joins(stage: Stage, plan: Joins, page: Callable[[], Awaitable[str]]) -> Seen:
    """`page` gets the server's metrics. Raises VenueError when nobody can speak, or the first
    cannot join.
    """
    if plan.listeners:
        await _burden(stage, plan)
    rooms = [f"bench-{number}" for number in range(plan.rooms)]
    for room in rooms:
        speaker, microphone = stage.person(room), stage.audio()
        await speaker.publish("audio", microphone)
        stage.speaks(speaker, microphone, rate=50)
    talk = asyncio.create_task(stage.driver.stroll(stage.senders))
    # The first join pays for what is imported and cached on first use
    await _one(stage, rooms[0])
    venue = stage.venue
    load = await _load(stage) if plan.listeners else None
    delays = loop_delays(await page())
    before = resident_bytes(venue.pid)
    relay = (await venue.counters()).get(RELAY_CPU, 0)
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
    counters = await venue.counters()
    late = loop_delays(await page())
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
            "relay": counters,
            "relay_cpu": (counters.get(RELAY_CPU, 0) - relay) / 1e9,
            "failed": len(failed),
            "load": load,
            "loop": [bound(delays, late, share) for share in (0.5, 0.99)],
            "keys": [one[0] for one in results if not isinstance(one, BaseException)],
            "media": [one[1] for one in results if not isinstance(one, BaseException)],
        },
        "memory": {"before": before, "after": after, "peers": plan.joins},
    }


async def _burden(stage: Stage, plan: Joins) -> None:
    """Somebody shows a picture to many. Raises VenueError."""
    audience = FanOut(plan.listeners)
    await stage.gather(audience)
    stage.set_pace(Scenario("burden", "a picture", audience, "frames", plan.rate, BURST, BURST))


async def _load(stage: Stage) -> float:
    """Share of a core that the server takes before anybody joins."""
    begin, cpu = time.monotonic_ns(), cpu_nanoseconds(stage.venue.pid)
    await asyncio.sleep(SETTLED)
    return (cpu_nanoseconds(stage.venue.pid) - cpu) / (time.monotonic_ns() - begin)


async def _one(stage: Stage, room: str) -> tuple[float, float]:
    """Seconds from before the TCP connection to the keys, and to the first packet that opened."""
    person = stage.person(room)
    await person.listen(audio=1)
    if person.incoming is None:
        raise VenueError("somebody listens without a transport")
    connected = await person.incoming.connected
    media = await asyncio.wait_for(asyncio.shield(person.incoming.first_media), PRIME)
    return connected - person.began, media - person.began
