"""The unmodified LiveKit Python SDK through a real node, its media recognised at the receiver."""

from __future__ import annotations

import pytest
from livekit import rtc

from tests.interop.sdk import LARGEST, LAYERS, Caller, Way, eventually
from tests.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAYS = [
    pytest.param(Way.ONE, Way.ONE, id="both-rtc-v1"),
    pytest.param(Way.TWO, Way.TWO, id="both-rtc"),
    pytest.param(Way.ONE, Way.TWO, id="one-of-each"),
]
EACH_WAY = pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
SOURCE = rtc.TrackSource


@pytest.mark.parametrize(("first", "second"), WAYS)
async def test_two_hear_and_see_each_other(node: Node, first: Way, second: Way) -> None:
    room = f"pair-{first.name}-{second.name}"
    async with (
        Caller.joined(node, room, "ada", way=first) as ada,
        Caller.joined(node, room, "bob", way=second) as bob,
    ):
        await ada.publish_tone(440)
        await bob.publish_tone(660)
        await ada.publish_picture(5)
        await bob.publish_picture(9, 320, 180)
        await bob.hears(ada, 440)
        await ada.hears(bob, 660)
        await bob.sees(ada, 5)
        await ada.sees(bob, 9, (320, 180))


async def test_an_untouched_camera_is_simulcast_and_its_highest_layer_forwarded(node: Node) -> None:
    async with (
        Caller.joined(node, "simulcast", "ada") as ada,
        Caller.joined(node, "simulcast", "bob") as bob,
    ):
        await ada.publish_picture(3)
        await bob.sees(ada, 3, LARGEST, frames=30)
        (publication,) = bob.publications(ada)
        assert publication.simulcasted
        assert (publication.width, publication.height) == LARGEST

        async def all_are_sent() -> bool:
            return await _sent_sizes(ada) == set(LAYERS)

        await eventually(all_are_sent, "it is not simulcast")
        assert (await node.metrics())['conclave_relay_total{name="rtp_skip_other_layer"}'] > 0


async def test_every_codec_is_carried(node: Node) -> None:
    codecs = {
        1: rtc.VideoCodec.VP8,
        2: rtc.VideoCodec.VP9,
        3: rtc.VideoCodec.H264,
        4: rtc.VideoCodec.AV1,
    }
    async with (
        Caller.joined(node, "codecs", "ada") as ada,
        Caller.joined(node, "codecs", "bob") as bob,
    ):
        for painter, codec in codecs.items():
            options = rtc.TrackPublishOptions(
                source=SOURCE.SOURCE_CAMERA, video_codec=codec, simulcast=False
            )
            publication = await ada.publish_picture(painter, 320, 180, options)
            await bob.sees(ada, painter, (320, 180), sid=publication.sid)
        mime_types = [publication.mime_type.lower() for publication in bob.publications(ada)]
        assert sorted(mime_types) == ["video/av1", "video/h264", "video/vp8", "video/vp9"]


@EACH_WAY
async def test_a_screen_with_its_sound_stands_beside_camera_and_microphone(
    node: Node, way: Way
) -> None:
    room = f"screen-{way.name}"
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):
        await ada.publish_tone(440)
        await ada.publish_picture(6, 320, 180)
        sound = await ada.publish_tone(880, SOURCE.SOURCE_SCREENSHARE_AUDIO)
        options = rtc.TrackPublishOptions(source=SOURCE.SOURCE_SCREENSHARE)
        screen = await ada.publish_picture(7, *LARGEST, options)
        await bob.sees(ada, 7, sid=screen.sid)
        await bob.hears(ada, 880, sid=sound.sid)
        sources = {publication.source for publication in bob.publications(ada)}
        assert sources == {
            SOURCE.SOURCE_MICROPHONE,
            SOURCE.SOURCE_CAMERA,
            SOURCE.SOURCE_SCREENSHARE,
            SOURCE.SOURCE_SCREENSHARE_AUDIO,
        }


@EACH_WAY
async def test_mute_is_seen_and_silences_at_the_server(node: Node, way: Way) -> None:
    room = f"mute-{way.name}"
    muted_drops = 'conclave_relay_total{name="rtp_drop_muted"}'
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):
        publication = await ada.publish_tone(440)
        await bob.hears(ada, 440)
        before = (await node.metrics())[muted_drops]

        async def more_dropped() -> bool:
            return (await node.metrics())[muted_drops] > before

        assert isinstance(publication.track, rtc.LocalAudioTrack)
        publication.track.mute()
        await bob.until(lambda: bob.happened("track_muted"), "the mute was not told")
        await bob.hears(ada, 0)
        assert bob.publications(ada)[0].muted
        # What the SDK still sends, comfort noise, ends at the relay.
        await eventually(more_dropped, "the relay dropped nothing of a muted track")
        publication.track.unmute()
        await bob.until(lambda: bob.happened("track_unmuted"), "the unmute was not told")
        await bob.hears(ada, 440)


@EACH_WAY
async def test_tracks_come_and_go(node: Node, way: Way) -> None:
    room = f"unpublish-{way.name}"
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):
        for hertz in (400, 500, 600):
            publication = await ada.publish_tone(hertz)
            await bob.hears(ada, hertz)
            await ada.room.local_participant.unpublish_track(publication.sid)
            await bob.until(lambda: not bob.publications(ada), "the track did not go")
        assert len(bob.happened("track_unpublished")) == 3


@EACH_WAY
async def test_a_late_joiner_gets_what_runs(node: Node, way: Way) -> None:
    room = f"late-{way.name}"
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):
        await ada.publish_tone(440)
        await ada.publish_picture(11)
        await bob.sees(ada, 11)
        async with Caller.joined(node, room, "cyd", way=way) as cyd:
            await cyd.sees(ada, 11, frames=1)
            await cyd.hears(ada, 440)


async def _sent_sizes(caller: Caller) -> set[tuple[int, int]]:
    stats = await caller.room.get_rtc_stats()
    sent = [each.outbound_rtp.outbound for each in stats.publisher_stats]
    return {(each.frame_width, each.frame_height) for each in sent if each.frame_width}
