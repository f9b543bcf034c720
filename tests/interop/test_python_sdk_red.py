"""Sound with redundancy (RFC 2198): whoever takes it gets it, and the others hear the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
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
        once = await sent(eve)
        await carries_two(partial(sent, ada), once)
        await carries_two(partial(received, bob), once)


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
        await carries_two(partial(received, bob), once)


async def carries_two(octets: Callable[[], Awaitable[float]], once: float) -> None:
    """Wait until packets are so large: while its source runs dry an encoder has little to say."""

    async def twice() -> bool:
        return await octets() > 1.5 * once

    await eventually(twice, "no packet carries two")


async def sent(caller: Caller) -> float:
    """Octets of a packet of the client's sound, on average, by its own count."""
    return await _octets(caller, "outbound_rtp")


async def received(caller: Caller) -> float:
    """The same of all sound that comes."""
    return await _octets(caller, "inbound_rtp")


async def _octets(caller: Caller, kind: Literal["inbound_rtp", "outbound_rtp"]) -> float:
    """Over the next fifty packets or more."""
    found: list[float] = []
    octets, packets = await _sums(caller, kind)

    async def enough() -> bool:
        more_octets, more_packets = await _sums(caller, kind)
        if more_packets >= packets + 50:
            found.append((more_octets - octets) / (more_packets - packets))
        return bool(found)

    await eventually(enough, "too little sound")
    return found[0]


async def _sums(caller: Caller, kind: Literal["inbound_rtp", "outbound_rtp"]) -> tuple[int, int]:
    """Octets and packets of all sound."""
    stats = await caller.room.get_rtc_stats()
    entries = [*stats.publisher_stats, *stats.subscriber_stats]
    streams = [getattr(entry, kind) for entry in entries if entry.HasField(kind)]
    sounds = [each for each in streams if each.stream.kind == "audio"]
    if kind == "outbound_rtp":
        pairs = [(each.sent.bytes_sent, each.sent.packets_sent) for each in sounds]
    else:
        pairs = [(each.inbound.bytes_received, each.received.packets_received) for each in sounds]
    return sum(octets for octets, _ in pairs), sum(packets for _, packets in pairs)
