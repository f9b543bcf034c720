"""Spatial layers within one stream (SVC), chosen by their subscribers, with unmodified SDKs at both
ends.
"""

from __future__ import annotations

import pytest
from livekit import rtc

from tests.interop.sdk import Caller, Way
from tests.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")

Q = rtc.VideoQuality
SIZES = {
    Q.VIDEO_QUALITY_LOW: (320, 180),
    Q.VIDEO_QUALITY_HIGH: (1280, 720),
    Q.VIDEO_QUALITY_MEDIUM: (640, 360),
}
LARGEST = SIZES[Q.VIDEO_QUALITY_HIGH]
CODECS = {"vp9": rtc.VideoCodec.VP9, "av1": rtc.VideoCodec.AV1}


@pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
@pytest.mark.parametrize("codec", CODECS)
async def test_each_sees_the_size_it_asked_for_and_another_notices_nothing(
    node: Node, codec: str, way: Way
) -> None:
    room = f"svc-{codec}-{way.name}"
    async with (
        Caller.joined(node, room, "ada") as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
        Caller.joined(node, room, "eve", way=way) as eve,
    ):
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=CODECS[codec],
            simulcast=False,
            scalability_mode="L3T3_KEY",
        )
        await ada.publish_picture(15, *LARGEST, options)
        await bob.sees(ada, 15, LARGEST)
        await eve.sees(ada, 15, LARGEST)
        (publication,) = bob.publications(ada)
        assert publication.mime_type.lower() == f"video/{codec}"
        for quality, size in SIZES.items():
            publication.set_video_quality(quality)
            await bob.sees(ada, 15, size)
            await eve.sees(ada, 15, LARGEST, frames=3)
