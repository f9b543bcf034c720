"""Callers of the Python SDK hear how good each other's connection is."""

from __future__ import annotations

import pytest
from livekit import rtc

from tests.interop.lossy import ADDRESS, lossy_way
from tests.interop.sdk import Caller
from tests.node import running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOSS = 0.3
EXCELLENT = rtc.ConnectionQuality.QUALITY_EXCELLENT
POOR = rtc.ConnectionQuality.QUALITY_POOR


async def test_a_lossy_way_up_makes_a_connection_poor_for_everybody_and_its_end_good_again() -> (
    None
):
    async with (
        running_node(MEDIA__ADVERTISE=ADDRESS) as node,
        lossy_way(node.media_port) as loss,
        Caller.joined(node, "quality", "ada") as ada,
        Caller.joined(node, "quality", "bob") as bob,
    ):
        await ada.publish_tone(440.0)

        for share, quality in ((0.0, EXCELLENT), (LOSS, POOR), (0.0, EXCELLENT)):
            loss.up = share
            for caller in (ada, bob):
                await _is_told(caller, ada, quality)


async def _is_told(caller: Caller, other: Caller, quality: int) -> None:
    """Wait until the last that the caller was told of the other one is this."""

    def last() -> bool:
        changes = caller.happened("connection_quality_changed")
        of_other = [told for person, told in changes if person.identity == other.identity]
        return of_other[-1:] == [quality]

    await caller.until(last, f"it is not told {quality}")
