"""Sound with redundancy (RFC 2198): whoever takes it gets it, and the others hear the same."""

from __future__ import annotations

from typing import Literal

import pytest
from livekit import rtc

from tests.interop import whip
from tests.interop.sdk import Caller, Way, eventually, token_for
from tests.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAIN = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, red=False)


@pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
async def test_a_publisher_with_redundancy_is_heard_by_who_takes_it_and_by_who_does_not(
    node: Node, way: Way
) -> None:
    room = f"red-{way.name}"
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
        Caller.joined(node, room, "eve", way=way) as eve,
    ):
        await ada.publish_tone(700)
        await bob.hears(ada, 700)
        # aiortc offers no redundancy, as Firefox does not.
        token = token_for(node, room, "screen-1")
        async with whip.viewer(node, room, token) as viewer:
            await viewer.hears(700)
        await eve.publish_tone(700, options=PLAIN)
        twice, once = await sent(ada), await sent(eve)
        assert twice > 1.5 * once, "each packet carries two"
        assert await received(bob) > 1.5 * once


async def test_a_publisher_without_redundancy_is_given_it(node: Node) -> None:
    token = token_for(node, "made", "microphone-1")
    async with (
        Caller.joined(node, "made", "bob") as bob,
        whip.publisher(node, "made", token, hertz=500, painter=6) as (_, connection),
    ):
        await bob.hears("microphone-1", 500)
        stats = (await connection.getStats()).values()
        sums = [(s.bytesSent, s.packetsSent) for s in stats if s.type == "outbound-rtp"]
        once = min(octets / packets for octets, packets in sums if packets)
        assert await received(bob) > 1.5 * once


async def sent(caller: Caller) -> float:
    """Octets of a packet of the client's sound, on average, by its own count."""
    return await _octets(caller, "outbound_rtp")


async def received(caller: Caller) -> float:
    """The same of the sound that comes."""
    return await _octets(caller, "inbound_rtp")


async def _octets(caller: Caller, kind: Literal["inbound_rtp", "outbound_rtp"]) -> float:
    found: list[float] = []

    async def enough() -> bool:
        stats = await caller.room.get_rtc_stats()
        entries = [*stats.publisher_stats, *stats.subscriber_stats]
        for each in (getattr(entry, kind) for entry in entries if entry.HasField(kind)):
            if kind == "outbound_rtp":
                octets, packets = each.sent.bytes_sent, each.sent.packets_sent
            else:
                octets, packets = each.inbound.bytes_received, each.received.packets_received
            if each.stream.kind == "audio" and packets >= 50:
                found.append(octets / packets)
        return bool(found)

    await eventually(enough, "too little sound")
    return found[0]
