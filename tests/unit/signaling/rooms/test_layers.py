"""Which layer answers a wish."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signaling.domain.grants import TrackSource
from signaling.domain.tracks import Codec, Layer, MediaKind, Track, TrackWish
from signaling.domain.viewing import Quality, TrackSetting, View
from signaling.rooms.layers import quality_of, view_of

THREE = (Layer("LOW", 320, 180), Layer("MEDIUM", 640, 360), Layer("HIGH", 1280, 720))
PAUSED = View(paused=True)
SCREEN = TrackSource.SCREEN_SHARE


def track(
    *layers: Layer,
    sent: int = 3,
    kind: MediaKind = MediaKind.VIDEO,
    height: int = 0,
    mime: str = "video/VP8",
) -> Track:
    wish = TrackWish("cid", kind, TrackSource.CAMERA, height=height, layers=layers)
    return Track("TR_x", wish, muted=False, mime_type=mime, layers=sent)


def test_a_screen_goes_before_faces_and_the_subscribers_own_order_before_both() -> None:
    camera, screen = track(), replace(track(), wish=replace(track().wish, source=SCREEN))
    usual = [view_of(of, TrackSetting()).priority for of in (camera, screen)]
    assert usual == [1, 2]
    chosen = [view_of(camera, TrackSetting(priority=of)).priority for of in (1, 2, 155, 2**32 - 1)]
    assert chosen == [255, 254, 101, 100]


def layer(of: Track, setting: TrackSetting) -> int | None:
    view = view_of(of, setting)
    assert not view.paused
    return view.layer


@pytest.mark.parametrize("of", [track(*THREE), track(), track(*reversed(THREE))])
def test_each_quality_is_a_layer(of: Track) -> None:
    asked = [Quality.LOW, Quality.MEDIUM, Quality.HIGH]
    assert [layer(of, TrackSetting(quality=quality)) for quality in asked] == [0, 1, 2]


def test_a_quality_that_is_not_sent_is_the_next_better_one_or_the_best() -> None:
    low_and_medium = track(*THREE[:2], sent=2)
    assert layer(low_and_medium, TrackSetting(quality=Quality.HIGH)) == 1
    low_and_high = track(THREE[0], THREE[2], sent=2)
    assert layer(low_and_high, TrackSetting(quality=Quality.MEDIUM)) == 1
    assert layer(low_and_high, TrackSetting(quality=Quality.LOW)) == 0


@pytest.mark.parametrize("of", [track(*THREE), track(height=720)])
@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1, 1, 0),
        (320, 180, 0),
        (355, 200, 0),
        (356, 201, 1),
        (711, 400, 1),
        (712, 401, 2),
        (1920, 1080, 2),
        (2**32 - 1, 2**32 - 1, 2),
    ],
)
def test_a_size_is_the_lowest_layer_that_is_nearly_as_high(
    of: Track, width: int, height: int, expected: int
) -> None:
    setting = TrackSetting(quality=Quality.LOW, width=width, height=height)
    assert layer(of, setting) == expected


def test_the_layers_of_the_codec_come_before_those_of_the_track() -> None:
    small = (Layer("LOW", 160, 90), Layer("MEDIUM", 320, 180), Layer("HIGH", 640, 360))
    wish = TrackWish(
        "cid",
        MediaKind.VIDEO,
        TrackSource.CAMERA,
        layers=THREE,
        codecs=(Codec("video/VP8", "cid", small),),
    )
    of = Track("TR_x", wish, muted=False, layers=3)
    assert layer(of, TrackSetting(width=320, height=180)) == 1


def test_layers_that_were_told_and_are_not_sent_mean_nothing() -> None:
    of = track(THREE[2], sent=3, height=720)
    assert layer(of, TrackSetting(quality=Quality.MEDIUM)) == 1
    more = track(*THREE, sent=2, height=720)
    assert layer(more, TrackSetting(quality=Quality.HIGH)) == 1
    assert layer(more, TrackSetting(width=640, height=360)) == 1
    unknown = track(sent=2)
    assert layer(unknown, TrackSetting(width=640, height=360)) == 1
    assert layer(unknown, TrackSetting(width=320, height=180)) == 0


def test_without_layers_it_is_all_or_nothing() -> None:
    for of in (track(sent=1), track(*THREE, sent=1), track(kind=MediaKind.AUDIO)):
        for quality in (Quality.LOW, Quality.HIGH):
            assert layer(of, TrackSetting(quality=quality)) is None
        assert view_of(of, TrackSetting(disabled=True)) == PAUSED


SVC = [
    track(*THREE, sent=1, mime="video/VP9"),
    track(sent=1, height=720, mime="video/AV1"),
]


@pytest.mark.parametrize("of", SVC)
def test_one_stream_of_a_scalable_format_has_its_layers_inside(of: Track) -> None:
    asked = [Quality.LOW, Quality.MEDIUM, Quality.HIGH]
    assert [layer(of, TrackSetting(quality=quality)) for quality in asked] == [0, 1, 2]
    sizes = [(320, 180), (640, 360), (1280, 720)]
    settings = [TrackSetting(width=width, height=height) for width, height in sizes]
    assert [layer(of, setting) for setting in settings] == [0, 1, 2]
    assert [quality_of(of, View(layer=at)) for at in range(3)] == asked


def test_a_scalable_format_of_one_layer_is_all_or_nothing() -> None:
    of = track(THREE[2], sent=1, mime="video/VP9")
    assert layer(of, TrackSetting(quality=Quality.LOW)) is None
    assert quality_of(of, View()) is Quality.HIGH


def test_a_frame_rate_is_passed_on_and_none_means_all() -> None:
    for of in (track(*THREE), track(sent=1), *SVC):
        assert view_of(of, TrackSetting(frame_rate=7)).frame_rate == 7
        assert view_of(of, TrackSetting()).frame_rate is None
    assert view_of(track(kind=MediaKind.AUDIO), TrackSetting(frame_rate=7)) == View()


def test_disabled_and_off_are_a_pause() -> None:
    for setting in (TrackSetting(disabled=True), TrackSetting(quality=Quality.OFF)):
        assert view_of(track(*THREE), setting) == PAUSED
        assert quality_of(track(*THREE), PAUSED) is Quality.OFF


def test_the_publisher_hears_the_quality_by_which_it_knows_the_layer() -> None:
    of = track(*THREE)
    assert [quality_of(of, View(layer=at)) for at in range(3)] == [
        Quality.LOW,
        Quality.MEDIUM,
        Quality.HIGH,
    ]
    two = track(*THREE[:2], sent=2)
    assert [quality_of(two, View(layer=at)) for at in range(2)] == [Quality.LOW, Quality.HIGH]
    middle = track(THREE[1], THREE[2], sent=2)
    assert quality_of(middle, View(layer=0)) is Quality.MEDIUM
    assert quality_of(track(sent=1), View()) is Quality.HIGH
