"""Callers of the Python SDK on a bad network: what is lost comes back, on either leg."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from tests.interop.lossy import ADDRESS, Loss, lossy_way
from tests.interop.sdk import Caller
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHARE = 0.15
SECONDS = 8.0  # of loss on each leg
SETTLE = 1.5  # seconds, longer than anything lost is asked for
# One stream, all of which somebody sees. As the SDK offers it, without a retransmission format: it
# answers our NACKs on the same SSRC. As a receiver it has one.
CAMERA = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)


async def test_a_picture_crosses_either_lossy_leg_whole() -> None:
    async with (
        running_node(MEDIA__ADVERTISE=ADDRESS) as node,
        lossy_way(node.media_port) as loss,
        Caller.joined(node, "loss", "ada") as ada,
        Caller.joined(node, "loss", "bob") as bob,
    ):
        await ada.publish_picture(4, options=CAMERA)
        await bob.sees(ada, 4)
        counted, dropped = await _during(node, loss, "up")
        assert dropped > 5
        came = counted["loss_late"] + counted["loss_recovered"]
        assert counted["loss_recovered"] > 0
        # Against what the link itself dropped, resends among it: a starved test process loses more.
        assert came >= 0.6 * dropped, counted
        counted, dropped = await _during(node, loss, "down")
        assert dropped > 5
        assert counted["nack_resent_rtx"] == counted["nack_resent"] > 0, counted
        # What only filled up bursts is not asked for when it is lost.
        fillers = SHARE * (counted["probe_resent"] + counted["probe_padding"])
        assert counted["nack_resent"] >= 0.8 * (dropped - fillers), counted
        await bob.sees(ada, 4)


async def _during(node: Node, loss: Loss, leg: str) -> tuple[dict[str, float], int]:
    """What the relay counted while one leg lost packets, and how many it lost."""
    before, dropped = await _relay(node), loss.dropped
    setattr(loss, leg, SHARE)
    await asyncio.sleep(SECONDS)
    setattr(loss, leg, 0.0)
    await asyncio.sleep(SETTLE)
    after = await _relay(node)
    return {name: after[name] - before[name] for name in after}, loss.dropped - dropped


async def _relay(node: Node) -> dict[str, float]:
    prefix, suffix = 'conclave_relay_total{name="', '"}'
    return {
        name.removeprefix(prefix).removesuffix(suffix): value
        for name, value in (await node.metrics()).items()
        if name.startswith(prefix)
    }
