"""A room on several media workers: everybody's media reaches everybody, from worker to worker."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from livekit import rtc

from tests.interop.sdk import LARGEST, LAYERS, Caller, Way, eventually
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

EACH_WAY = pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
WORKERS = 3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node() -> AsyncIterator[Node]:
    async with running_node("tests.interop.scattered_node", MEDIA__WORKERS=str(WORKERS)) as node:
        yield node


async def relay(node: Node, name: str) -> float:
    return (await node.metrics())[f'conclave_relay_total{{name="{name}"}}']


async def nothing_is_left(node: Node) -> None:
    """Pipes go with the last who needs them."""

    async def all_gone() -> bool:
        names = ("pipes_now", "piped_tracks_now", "peers_now", "tracks_now", "downtracks_now")
        return not any([await relay(node, name) for name in names])

    await eventually(all_gone, "something was left over")


@EACH_WAY
async def test_all_hear_and_see_each_other_from_worker_to_worker(node: Node, way: Way) -> None:
    room = f"scattered-{way.name}"
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
        Caller.joined(node, room, "eve", way=way) as eve,
    ):
        metrics = await node.metrics()
        peers = [metrics[f'conclave_worker_peers{{worker="{n}"}}'] for n in range(WORKERS)]
        assert peers == [1 if way is Way.ONE else 2] * WORKERS
        await ada.publish_tone(440)
        await bob.publish_tone(660)
        await ada.publish_picture(5)
        await eve.publish_picture(9, 320, 180)
        for listener in (bob, eve):
            await listener.hears(ada, 440)
            await listener.sees(ada, 5)
        for listener in (ada, eve):
            await listener.hears(bob, 660)
        for listener in (ada, bob):
            await listener.sees(eve, 9, (320, 180))
        assert await relay(node, "pipes_now") > 0
        assert await relay(node, "piped_tracks_now") > 0
    await nothing_is_left(node)


async def test_every_codec_crosses(node: Node) -> None:
    codecs = {1: rtc.VideoCodec.VP8, 2: rtc.VideoCodec.VP9, 3: rtc.VideoCodec.H264}
    codecs[4] = rtc.VideoCodec.AV1
    async with (
        Caller.joined(node, "codecs", "ada") as ada,
        Caller.joined(node, "codecs", "bob") as bob,
    ):
        for painter, codec in codecs.items():
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA, video_codec=codec, simulcast=False
            )
            publication = await ada.publish_picture(painter, 320, 180, options)
            await bob.sees(ada, painter, (320, 180), sid=publication.sid)
    await nothing_is_left(node)


async def test_a_layer_is_chosen_beyond_the_pipe_and_no_higher_one_crosses(node: Node) -> None:
    async with (
        Caller.joined(node, "layers", "ada") as ada,
        Caller.joined(node, "layers", "bob") as bob,
    ):
        await ada.publish_picture(3)
        await bob.sees(ada, 3, LARGEST)
        (publication,) = bob.publications(ada)
        publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
        await bob.sees(ada, 3, LAYERS[0])

        async def skipped() -> bool:
            before = await relay(node, "rtp_skip_paused")
            await asyncio.sleep(0.5)
            return await relay(node, "rtp_skip_paused") > before

        await eventually(skipped, "the higher layers still cross")
        publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_HIGH)
        await bob.sees(ada, 3, LARGEST)
    await nothing_is_left(node)


@EACH_WAY
async def test_what_is_muted_or_ended_is_so_beyond_the_pipe(node: Node, way: Way) -> None:
    room = f"mute-{way.name}"
    async with (
        Caller.joined(node, room, "bob", way=way) as bob,
        Caller.joined(node, room, "ada", way=way) as ada,  # on another worker either way
    ):
        sound = await ada.publish_tone(440)
        picture = await ada.publish_picture(6, 320, 180)
        await bob.hears(ada, 440)
        await bob.sees(ada, 6, (320, 180))
        assert isinstance(sound.track, rtc.LocalAudioTrack)
        sound.track.mute()
        await bob.until(lambda: bob.happened("track_muted"), "the mute was not told")
        await bob.hears(ada, 0)
        sound.track.unmute()
        await bob.until(lambda: bob.happened("track_unmuted"), "the unmute was not told")
        await bob.hears(ada, 440)

        assert await relay(node, "piped_tracks_now") == 2
        await ada.room.local_participant.unpublish_track(picture.sid)
        await bob.until(lambda: bob.happened("track_unpublished"), "the end was not told")
        assert await relay(node, "piped_tracks_now") == 1
        await bob.hears(ada, 440)
        (remote,) = bob.publications(ada)
        remote.set_subscribed(False)

        async def nothing_crosses() -> bool:
            return await relay(node, "piped_tracks_now") == 0

        await eventually(nothing_crosses, "a track crosses that nobody wants")
        assert await relay(node, "pipes_now") == 0
        remote.set_subscribed(True)

        async def crosses_again() -> bool:
            return await relay(node, "piped_tracks_now") == 1

        await eventually(crosses_again, "a track that is wanted again does not cross")
    await nothing_is_left(node)


async def test_data_and_speakers_are_the_rooms_and_told_once(node: Node) -> None:
    async with (
        Caller.joined(node, "talk", "ada") as ada,
        Caller.joined(node, "talk", "bob") as bob,
        Caller.joined(node, "talk", "eve") as eve,
    ):

        def speaks(listener: Caller) -> bool:
            told = listener.happened("active_speakers_changed")
            return any([one.identity for one in names] == [ada.identity] for (names,) in told)

        def messages(listener: Caller) -> list[bytes]:
            return [packet.data for (packet,) in listener.happened("data_received")]

        def have_come(listener: Caller) -> bool:
            return len(messages(listener)) >= 2

        await ada.publish_tone(440)
        for listener in (bob, eve):
            await listener.hears(ada, 440)
            await listener.until(partial(speaks, listener), "nobody was said to speak")
        for word in (b"one", b"two"):
            await bob.room.local_participant.publish_data(word, reliable=True, topic="t")
        for listener in (ada, eve):
            await listener.until(partial(have_come, listener), "no message came")
            assert messages(listener) == [b"one", b"two"]
    await nothing_is_left(node)


async def test_a_worker_that_dies_leaves_the_rooms_others_where_they_are() -> None:
    async with (
        running_node("tests.interop.scattered_node", MEDIA__WORKERS="3") as node,
        Caller.joined(node, "garden", "ada") as ada,
        Caller.joined(node, "garden", "bob") as bob,
        Caller.joined(node, "garden", "eve") as eve,
    ):
        await ada.publish_tone(440)
        await bob.publish_tone(660)
        for listener, speaker, hertz in ((bob, ada, 440), (eve, ada, 440), (eve, bob, 660)):
            await listener.hears(speaker, hertz)
        node.process.send_signal(signal.SIGUSR1)  # where ada is
        await ada.until(lambda: ada.happened("reconnecting"), "the death went unnoticed")

        def is_back() -> bool:
            return bool(bob.publications(ada)) and bool(bob.publications(ada)[0].track)

        await bob.until(lambda: bob.happened("participant_disconnected"), "nobody was missed")
        await bob.until(is_back, "the one who was lost never came back")
        for listener, speaker, hertz in ((bob, ada, 440), (eve, ada, 440), (ada, bob, 660)):
            await listener.hears(speaker, hertz)
        await eve.hears(bob, 660)
        for caller in (bob, eve):
            assert not caller.happened("reconnecting")
            assert not caller.happened("disconnected")
