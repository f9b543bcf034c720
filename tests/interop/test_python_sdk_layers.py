"""Simulcast layers chosen by their subscribers, with unmodified SDKs at both ends."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2

from tests.interop.sdk import PATIENCE, VIDEO, Caller, Way
from tests.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")

Q = rtc.VideoQuality
SIZES = {
    Q.VIDEO_QUALITY_LOW: (320, 180),
    Q.VIDEO_QUALITY_MEDIUM: (640, 360),
    Q.VIDEO_QUALITY_HIGH: (1280, 720),
}
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
        await bob.sees(ada, 11, (1280, 720))
        await eve.sees(ada, 11, (1280, 720))
        watching = asyncio.create_task(_watch(eve, ada))
        order = [Q.VIDEO_QUALITY_LOW, Q.VIDEO_QUALITY_HIGH, Q.VIDEO_QUALITY_MEDIUM]
        for quality in order:
            (publication,) = bob.publications(ada)
            publication.set_video_quality(quality)
            await bob.sees(ada, 11, SIZES[quality])
            await eve.sees(ada, 11, (1280, 720), frames=1)
        watching.cancel()
        assert await watching == {(1280, 720)}


@EACH_WAY
async def test_a_size_is_answered_by_the_layer_that_fits(node: Node, way: Way) -> None:
    room = f"sizes-{way.name}"
    async with (
        Caller.joined(node, room, "ada") as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):
        await ada.publish_picture(12)
        await bob.sees(ada, 12, (1280, 720))
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
        await eve.sees(ada, 13)
        assert await _received(bob) == await _received(bob, after=1.0), "not a packet"
        _enable(bob, ada, True)
        await bob.sees(ada, 13)
        await eve.sees(ada, 13)


async def test_a_publisher_sends_only_what_somebody_watches(node: Node) -> None:
    async with Caller.joined(node, "dynacast", "ada", dynacast=True) as ada:
        await ada.publish_picture(14)
        await _until_sending(ada, set())  # nobody is there
        async with Caller.joined(node, "dynacast", "bob") as bob:
            await bob.sees(ada, 14, (1280, 720))
            assert await _sending(ada) == set(SIZES.values())
            (publication,) = bob.publications(ada)
            publication.set_video_quality(Q.VIDEO_QUALITY_LOW)
            await bob.sees(ada, 14, (320, 180))
            await _until_sending(ada, {(320, 180)})
            publication.set_video_quality(Q.VIDEO_QUALITY_HIGH)
            await bob.sees(ada, 14, (1280, 720))
        await _until_sending(ada, set())


async def _watch(caller: Caller, other: Caller) -> set[tuple[int, int]]:
    """The sizes of all that is seen until it is cancelled."""
    stream = rtc.VideoStream(await caller.track_of(other, VIDEO), format=rtc.VideoBufferType.I420)
    sizes = set()
    try:
        async for event in stream:
            sizes.add((event.frame.width, event.frame.height))
    except asyncio.CancelledError:
        pass
    finally:
        await stream.aclose()
    return sizes


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
    async with asyncio.timeout(PATIENCE):
        while await _received(caller) != await _received(caller, after=0.5):
            pass


async def _sending(caller: Caller) -> set[tuple[int, int]]:
    """The sizes of the layers that grow within two seconds."""

    async def sent() -> dict[str, tuple[int, tuple[int, int]]]:
        stats = await caller.room.get_rtc_stats()
        streams = [each.outbound_rtp.outbound for each in stats.publisher_stats]
        return {s.rid: (s.frames_sent, (s.frame_width, s.frame_height)) for s in streams if s.rid}

    before = await sent()
    await asyncio.sleep(2.0)
    after = await sent()
    return {size for rid, (frames, size) in after.items() if frames > before.get(rid, (0,))[0]}


async def _until_sending(caller: Caller, sizes: set[tuple[int, int]]) -> None:
    seen = None
    try:
        async with asyncio.timeout(PATIENCE):
            while seen != sizes:
                seen = await _sending(caller)
    except TimeoutError:
        raise AssertionError(f"sends {seen}, not {sizes}") from None
