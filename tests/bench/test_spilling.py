"""A room that outgrows its worker, by real load: it goes over to another, and nobody hears that."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from bench.loadgen.dtls import PROFILES, SUITES, Identity
from bench.loadgen.livekit import LiveKitVenue
from bench.loadgen.servers import LiveKitServer
from bench.loadgen.stage import Stage
from bench.scenarios import FanOut, Scenario
from tests.interop.listening import longest_silence, packets_lost
from tests.interop.sdk import AUDIO, Caller, eventually
from tests.node import Node, running_node
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOM = "bench-0"  # as the load generator calls it
LISTENERS = FanOut(40)
SPARED_AT = 0.25
PRESSED = 0.35
"""Share of a core: above that of `SPARED_AT`, and clearly above what the other worker takes."""


async def test_a_room_that_outgrows_its_worker_goes_over_and_nobody_hears_it() -> None:
    async with (
        running_node(
            MEDIA__WORKERS="2",
            MEDIA__SPILL_AT=str(SPARED_AT),
            LIMITS__CONNECTIONS_PER_ADDRESS="0",
        ) as node,
        AsyncExitStack() as callers,
    ):

        async def join(name: str) -> Caller:
            # Nobody of them could show the picture that makes the load.
            joining = Caller.joined(node, ROOM, name, auto_subscribe=False)
            return await callers.enter_async_context(joining)

        ada, bob = await join("ada"), await join("bob")
        await ada.publish_tone(440)
        await _asks_for(bob, ada)
        await bob.hears(ada, 440)
        async with _pressed(node):
            assert await _peers(node) == [LISTENERS.present + 2, 0]
            before = await packets_lost(bob, ada)
            over = asyncio.Event()
            silence = asyncio.create_task(longest_silence(bob, ada, 440, until=over))
            eve = await join("eve")
            assert await _peers(node) == [LISTENERS.present + 2, 1], "eve is where there is room"
            await eve.publish_tone(660)
            await _asks_for(eve, ada)
            await _asks_for(bob, eve)
            await eve.hears(ada, 440, seconds=1.0)
            await bob.hears(eve, 660, seconds=1.0)
            over.set()
            assert await silence < 0.5
            assert await packets_lost(bob, ada) == before
            metrics = await node.metrics()
            assert metrics['conclave_relay_total{name="pipes_now"}'] > 0
            assert metrics['conclave_relay_total{name="piped_tracks_now"}'] > 0


@asynccontextmanager
async def _pressed(node: Node) -> AsyncIterator[None]:
    """A picture to forty people in the room, for the time of the block at a rate that presses the
    first worker.
    """
    name, secret = node.keys
    server = LiveKitServer(
        node.process.pid,
        core=0,
        host="127.0.0.1",
        port=node.port,
        authority=str(node.authority),
        api_key=name,
        api_secret=secret,
        admin_port=node.admin_port,
    )
    identity = Identity(PROFILES["gcm"], SUITES[0])
    stage = Stage(partial(LiveKitVenue, server), identity, tells=False, loses=0.0)
    try:
        await stage.gather(LISTENERS)
        stage.thin()
        async with _sending(stage):
            await _press(stage, node)
            yield
            stage.check_alive()
    finally:
        await stage.close()


@asynccontextmanager
async def _sending(stage: Stage) -> AsyncIterator[None]:
    stroll = asyncio.create_task(stage.driver.stroll(stage.senders))
    try:
        yield
    finally:
        stroll.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stroll


async def _press(stage: Stage, node: Node) -> None:
    """Send ever more until the worker's load is there, and three looks later still."""
    rate, steady = 400.0, 0
    deadline = time.monotonic() + PATIENCE
    while steady < 3:
        assert time.monotonic() < deadline, f"no such load with {rate:.0f} packets a second"
        stage.set_pace(Scenario("press", "a picture", LISTENERS, "frames", rate, burst=4))
        await asyncio.sleep(1)  # between two measurements of the server's
        load = (await node.metrics())['conclave_worker_load{worker="0"}']
        steady = steady + 1 if load >= PRESSED else 0
        if not steady:
            rate *= min(1.5, max(1.05, PRESSED / max(load, 0.01)))


async def _asks_for(listener: Caller, speaker: Caller) -> None:
    """Subscribe to somebody's sound."""

    async def asked() -> bool:
        found = [one for one in listener.publications(speaker) if one.kind == AUDIO]
        for one in found:
            one.set_subscribed(True)
        return bool(found)

    await eventually(asked, "the speaker published nothing")


async def _peers(node: Node) -> list[int]:
    metrics = await node.metrics()
    return [int(metrics[f'conclave_worker_peers{{worker="{number}"}}']) for number in (0, 1)]
