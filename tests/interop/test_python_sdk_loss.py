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
SECONDS = 5.0  # of loss on each leg
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
        counted = await _during(node, loss, "up")
        missed = len(loss.lost) + loss.returned
        assert missed > 5
        assert counted["loss_found"] >= missed, counted
        # What came after all was asked for, but for what a key frame had made useless by then.
        assert counted["loss_recovered"] > 0
        useless = counted["loss_superseded"] + counted["loss_given_up"]
        came = counted["loss_late"] + counted["loss_recovered"]
        assert came + useless >= loss.returned > 0, counted
        dropped = loss.dropped
        counted = await _during(node, loss, "down")
        assert loss.dropped - dropped > 5
        assert counted["nack_resent_rtx"] == counted["nack_resent"] > 0, counted
        await bob.sees(ada, 4)


async def _during(node: Node, loss: Loss, leg: str) -> dict[str, float]:
    """What the relay counted while one leg lost packets."""
    before = await _relay(node)
    setattr(loss, leg, SHARE)
    await asyncio.sleep(SECONDS)
    setattr(loss, leg, 0.0)
    await asyncio.sleep(SETTLE)
    after = await _relay(node)
    return {name: after[name] - before[name] for name in after}


async def _relay(node: Node) -> dict[str, float]:
    prefix, suffix = 'conclave_relay_total{name="', '"}'
    return {
        name.removeprefix(prefix).removesuffix(suffix): value
        for name, value in (await node.metrics()).items()
        if name.startswith(prefix)
    }
