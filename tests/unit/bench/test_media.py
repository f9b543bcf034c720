"""What publishers send is valid, and proves itself when it arrives."""

from __future__ import annotations

import pytest

from bench.loadgen.media import AUDIO_BYTES, VIDEO_BYTES, Audio, BadPayload, Video, check
from bench.loadgen.pacing import FRAME


def test_packets_have_the_promised_size_and_tell_their_story() -> None:
    video, audio = Video(ssrc=7, source=1, rate=250), Audio(ssrc=8, source=2)
    for number in range(3 * FRAME):
        picture, sound = video.next(now=99, transport_sequence=0), audio.next(99, 0)
        assert len(picture) in (VIDEO_BYTES, VIDEO_BYTES - 1)
        assert len(sound) == AUDIO_BYTES
        assert (check(picture).source, check(picture).counter) == (1, number)
        assert (check(sound).source, check(sound).sent_at) == (2, 99)


def test_packets_of_a_frame_are_about_equally_long_and_the_longer_ones_come_last() -> None:
    video = Video(ssrc=7, source=1, rate=250)
    frames = [[len(video.next(0, 0)) for _ in range(FRAME)] for _ in range(FRAME)]
    shorter = [frame.count(VIDEO_BYTES - 1) for frame in frames]
    assert shorter == list(range(FRAME))
    assert all(frame == sorted(frame) for frame in frames)


def test_every_frame_ends_with_a_marker_and_shares_one_timestamp() -> None:
    video = Video(ssrc=7, source=1, rate=240)
    packets = [video.next(0, 0) for _ in range(2 * FRAME)]
    assert [packet[1] >> 7 for packet in packets] == ([0] * (FRAME - 1) + [1]) * 2
    times = [int.from_bytes(packet[4:8], "big") for packet in packets]
    assert times == [3000] * FRAME + [6000] * FRAME


def test_the_first_frame_is_a_key_frame_and_later_ones_only_when_asked_for() -> None:
    video = Video(ssrc=7, source=1, rate=240)

    def frame_is_key() -> bool:
        first, *_ = [video.next(0, 0) for _ in range(FRAME)]
        payload = first[20:]  # 12 bytes of header, 8 of extension
        assert payload[0] == 0x10  # S set, partition 0
        return not payload[1] & 1 and payload[4:7] == b"\x9d\x01\x2a"

    assert [frame_is_key(), frame_is_key()] == [True, False]
    video.next(0, 0)
    video.want_key_frame()
    for _ in range(FRAME - 1):
        video.next(0, 0)
    assert [frame_is_key(), frame_is_key()] == [True, False]


@pytest.mark.parametrize("place", [20, 25, 40, 60, 1199])
def test_any_changed_byte_of_the_payload_is_noticed(place: int) -> None:
    packet = bytearray(Video(ssrc=7, source=1, rate=240).next(0, 0))
    before = check(bytes(packet))
    packet[place] ^= 0x20
    try:
        after = check(bytes(packet))
    except BadPayload:
        return
    assert after != before


def test_a_payload_cut_short_is_noticed() -> None:
    packet = Audio(ssrc=7, source=1).next(0, 0)
    with pytest.raises(BadPayload):
        check(packet[:30])
