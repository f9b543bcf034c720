"""Simulcast layers chosen by their subscribers, with unmodified SDKs at both ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2

from tests.interop.sdk import LARGEST, LAYERS, Caller, Way, eventually
from tests.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")

Q = rtc.VideoQuality
QUALITIES = (Q.VIDEO_QUALITY_LOW, Q.VIDEO_QUALITY_MEDIUM, Q.VIDEO_QUALITY_HIGH)
SIZES = dict(zip(QUALITIES, LAYERS, strict=True))
SMALLEST = LAYERS[0]
EACH_WAY = pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)


@EACH_WAY
async def test_each_sees_the_quality_it_asked_for_and_another_notices_nothing(
    node: Node, way: Way
) -> None:
    room = f"layers-{way.name}"
    async with (
        Caller.joined(node, room, "ada") as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
        Caller.joined(node, room, "eve", way=way) as eve,
    ):
        await ada.publish_picture(11)
        await bob.sees(ada, 11)
        await eve.sees(ada, 11)
        limited = await _limited(ada)
        sizes: set[tuple[int, int]] = set()
        watching = asyncio.create_task(_watch(eve, ada, sizes))
        await _until_there(sizes)
        order = [Q.VIDEO_QUALITY_LOW, Q.VIDEO_QUALITY_HIGH, Q.VIDEO_QUALITY_MEDIUM]
        for quality in order:
            (publication,) = bob.publications(ada)
            publication.set_video_quality(quality)
            await bob.sees(ada, 11, SIZES[quality])
            await eve.sees(ada, 11, frames=1)
        watching.cancel()
        # A sender that is short of processor time leaves out its largest layer by itself.
        assert sizes == {LARGEST} or await _limited(ada) > limited


@EACH_WAY
async def test_a_size_is_answered_by_the_layer_that_fits(node: Node, way: Way) -> None:
    room = f"sizes-{way.name}"
    async with (
        Caller.joined(node, room, "ada") as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):
        await ada.publish_picture(12)
        await bob.sees(ada, 12)
        (publication,) = bob.publications(ada)
        for width, height, size in [(300, 170, (320, 180)), (700, 390, (640, 360))]:
            request = ffi_pb2.FfiRequest()
            wish = request.update_remote_track_publication_dimension
            wish.track_publication_handle = publication._ffi_handle.handle
            wish.width, wish.height = width, height
            FfiClient.instance.request(request)
            await bob.sees(ada, 12, size)


async def test_a_disabled_track_costs_nothing_and_comes_back_whole(node: Node) -> None:
    async with (
        Caller.joined(node, "disabled", "ada") as ada,
        Caller.joined(node, "disabled", "bob") as bob,
        Caller.joined(node, "disabled", "eve") as eve,
    ):
        await ada.publish_picture(13)
        await bob.sees(ada, 13)
        await eve.sees(ada, 13)
        _enable(bob, ada, False)
        await _until_still(bob)
        before = await _received(bob)
        await eve.sees(ada, 13)
        assert await _received(bob) == before, "not a packet"
        _enable(bob, ada, True)
        await bob.sees(ada, 13)
        await eve.sees(ada, 13)


async def test_a_publisher_sends_only_what_somebody_watches(node: Node) -> None:
    async with Caller.joined(node, "dynacast", "ada", dynacast=True) as ada:
        await ada.publish_picture(14)
        async with Caller.joined(node, "dynacast", "bob") as bob:
            await bob.sees(ada, 14)
            await _until_sending(ada, set(LAYERS))
            (publication,) = bob.publications(ada)
            publication.set_video_quality(Q.VIDEO_QUALITY_LOW)
            await bob.sees(ada, 14, SMALLEST)
            await _until_sending(ada, {SMALLEST})
            publication.set_video_quality(Q.VIDEO_QUALITY_HIGH)
            await bob.sees(ada, 14)
        await _until_sending(ada, set())


async def _watch(caller: Caller, other: Caller, sizes: set[tuple[int, int]]) -> None:
    """Note the sizes of all that is seen, until it is cancelled."""
    async with aclosing(caller.pictures(other)) as pictures:
        async for event in pictures:
            sizes.add((event.frame.width, event.frame.height))


async def _until_there(sizes: set[tuple[int, int]]) -> None:
    async def there() -> bool:
        return bool(sizes)

    await eventually(there, "nothing is seen")


def _enable(caller: Caller, other: Caller, enabled: bool) -> None:
    """What other SDKs have as `setEnabled`; Python's has no word for it yet."""
    (publication,) = caller.publications(other)
    request = ffi_pb2.FfiRequest()
    wish = request.enable_remote_track_publication
    wish.track_publication_handle = publication._ffi_handle.handle
    wish.enabled = enabled
    FfiClient.instance.request(request)


async def _received(caller: Caller, *, after: float = 0.0) -> int:
    """Packets of pictures that came, by the client's own count."""
    await asyncio.sleep(after)
    stats = await caller.room.get_rtc_stats()
    inbound = [each.inbound_rtp for each in stats.publisher_stats if each.HasField("inbound_rtp")]
    return sum(each.received.packets_received for each in inbound if each.inbound.frame_width)


async def _until_still(caller: Caller) -> None:
    async def still() -> bool:
        return await _received(caller) == await _received(caller, after=1.0)

    await eventually(still, "packets come all the same")


async def _limited(caller: Caller) -> float:
    """Seconds for which the client's encoder could not do all that was asked of it."""
    stats = await caller.room.get_rtc_stats()
    streams = [each.outbound_rtp.outbound for each in stats.publisher_stats]
    spent = [stream.quality_limitation_durations for stream in streams if stream.rid]
    return sum(sum(seconds for why, seconds in each.items() if why != "none") for each in spent)


async def _until_sending(caller: Caller, sizes: set[tuple[int, int]]) -> None:
    """Wait until the client has switched off all layers but these, and sends all of these."""
    seen: set[tuple[int, int]] = set()

    async def sending() -> bool:
        before, after = await _sent(caller), await _sent(caller, after=1.0)
        seen.clear()
        seen.update(size for rid, (frames, size, _) in after.items() if frames > before[rid][0])
        active = {size for _, size, active in after.values() if active}
        return seen == sizes and active == sizes

    try:
        await eventually(sending, "")
    except AssertionError:
        raise AssertionError(f"sends {seen}, not {sizes}") from None


async def _sent(
    caller: Caller, *, after: float = 0.0
) -> dict[str, tuple[int, tuple[int, int], bool]]:
    """Of each layer: frames sent so far, size, whether it is switched on."""
    await asyncio.sleep(after)
    stats = await caller.room.get_rtc_stats()
    streams = [each.outbound_rtp.outbound for each in stats.publisher_stats]
    return {
        s.rid: (s.frames_sent, (s.frame_width, s.frame_height), s.active) for s in streams if s.rid
    }
