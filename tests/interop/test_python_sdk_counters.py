"""After a call every packet is accounted for."""

from __future__ import annotations

import pytest

from tests.interop.sdk import Caller, Way, eventually
from tests.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")

GAUGES = ("rooms", "participants", "peers", "tracks", "downtracks")
CONNECTED = 'conclave_handshakes_total{outcome="connected"}'


async def test_every_packet_is_forwarded_or_a_counted_drop(node: Node) -> None:
    before = (await node.metrics()).get(CONNECTED, 0)
    async with (
        Caller.joined(node, "sums", "ada") as ada,
        Caller.joined(node, "sums", "bob", way=Way.TWO) as bob,
        Caller.joined(node, "sums", "cyd") as cyd,
    ):
        await ada.publish_tone(440)
        await bob.publish_tone(550)
        await ada.publish_picture(4)
        for listener in (bob, cyd):
            await listener.hears(ada, 440)
            await listener.sees(ada, 4)
        await ada.hears(bob, 550)

    async def empty() -> bool:
        metrics = await node.metrics()
        return not any(metrics[f"conclave_{gauge}"] for gauge in GAUGES)

    await eventually(empty, "somebody stayed")
    counted = await _relay(node)
    assert counted["rtp_out"] > 0
    assert counted["rtp_in"] == counted["rtp_accepted"] + _sum(counted, "rtp_drop_")
    assert counted["rtp_offered"] == counted["rtp_out"] + _sum(counted, "rtp_skip_")
    unsent = counted["rtcp_drop_unsent"]  # of those we made ourselves
    assert counted["rtcp_in"] == counted["rtcp_accepted"] + _sum(counted, "rtcp_drop_") - unsent
    attacks = ("bad_tag", "replayed", "too_old", "malformed", "stream_limit", "expired")
    assert [counted[f"rtp_drop_{reason}"] for reason in attacks] == [0] * len(attacks)
    metrics = await node.metrics()
    assert (counted["peers_now"], counted["tracks_now"], counted["downtracks_now"]) == (0, 0, 0)
    assert metrics[CONNECTED] - before == 4  # bob has two transports


async def _relay(node: Node) -> dict[str, int]:
    prefix, suffix = 'conclave_relay_total{name="', '"}'
    return {
        name.removeprefix(prefix).removesuffix(suffix): int(value)
        for name, value in (await node.metrics()).items()
        if name.startswith(prefix)
    }


def _sum(counted: dict[str, int], prefix: str) -> int:
    return sum(count for name, count in counted.items() if name.startswith(prefix))
