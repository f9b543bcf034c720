"""Two media workers under the LiveKit Python SDK: who is where, and what a death takes along."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack, aclosing

import pytest
from livekit import rtc

from tests.interop.listening import longest_silence, packets_lost
from tests.interop.sdk import AUDIO, Caller, Way, samples_of
from tests.interop.signals import peak_hz
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAYS = pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
DIED = 'conclave_relay_total{name="workers_died"}'
WITHIN = 10.0
"""Seconds in which sound is back on whatever machine. It takes a fraction of one; see the print."""


@WAYS
async def test_a_worker_that_dies_takes_its_own_rooms_only_and_they_come_back(way: Way) -> None:
    async with (
        running_node("tests.interop.mortal_node", MEDIA__WORKERS="2") as node,
        AsyncExitStack() as callers,
    ):

        async def join(room: str, name: str) -> Caller:
            return await callers.enter_async_context(Caller.joined(node, room, name, way=way))

        ada, bob = await join("garden", "ada"), await join("garden", "bob")
        eve, dan = await join("attic", "eve"), await join("attic", "dan")
        assert await _peers(node) == [2 * (1 + (way is Way.TWO))] * 2, "a room each"
        await ada.publish_tone(440)
        await eve.publish_tone(660)
        await bob.hears(ada, 440)
        await dan.hears(eve, 660)

        before = await packets_lost(dan, eve)
        silence = asyncio.create_task(
            longest_silence(dan, eve, 660, until=(over := asyncio.Event()))
        )
        node.process.send_signal(signal.SIGUSR1)
        died = await _death(node)
        again = await _next_sound(bob, ada, 440, since=died)
        await bob.hears(ada, 440, seconds=1.0)
        over.set()
        print(f"{way.name}: sound was back {again:.2f} s after the worker's death was noticed")
        assert again < WITHIN
        assert await silence < 0.3, "the other room heard nothing of it"
        assert await packets_lost(dan, eve) == before, "nor lost a packet"
        for caller in (eve, dan):
            assert not caller.happened("reconnecting")
            assert not caller.happened("disconnected")
        for caller in (ada, bob):
            assert caller.happened("reconnecting")
            assert not caller.happened("disconnected")
        metrics = await node.metrics()
        assert metrics[DIED] == 1
        assert sum(await _peers(node)) == 4 * (1 + (way is Way.TWO))


async def _peers(node: Node) -> list[int]:
    metrics = await node.metrics()
    return [int(metrics[f'conclave_worker_peers{{worker="{number}"}}']) for number in (0, 1)]


async def _death(node: Node) -> float:
    """When the server had noticed that a worker died, to some milliseconds."""
    while not (await node.metrics())[DIED]:
        await asyncio.sleep(0)
    return time.monotonic()


async def _next_sound(listener: Caller, speaker: Caller, hertz: float, *, since: float) -> float:
    """Seconds until a new subscription of the speaker's brings that tone."""
    gone = listener.publications(speaker)
    old = {one.sid for one in gone}

    def new() -> list[rtc.RemoteTrackPublication]:
        found = listener.publications(speaker)
        return [one for one in found if one.sid not in old and one.track and one.kind == AUDIO]

    await listener.until(new, "the speaker's track never came back")
    (publication,) = new()
    assert publication.track is not None
    async with aclosing(samples_of(publication.track)) as sounds:
        async for samples in sounds:
            if abs(peak_hz(samples) - hertz) <= 20:
                return time.monotonic() - since
    raise AssertionError("the track ended")
