"""To the client: which section carries which wanted track."""

from __future__ import annotations

import itertools
import re

import pytest

from sfu.negotiation import (
    FormatSpec,
)
from sfu.sdp import Direction, parse
from tests.unit.sfu.negotiation_client import (
    CHROMIUM,
    DRAFT,
    FIRST,
    H264,
    MIC,
    TRANSPORT_SEQUENCE,
    VP8,
    Client,
    audio,
    read,
    section,
    video,
)


def test_wanted_tracks_go_into_idle_sections() -> None:
    client = Client()
    client.answerer.want(audio(1))
    client.answerer.want(video(1))
    assert client.answerer.needs_negotiation()
    outcome = client.offer(FIRST)
    assert outcome.mid_to_track == {"0": "TR_a1", "3": "TR_v1"}
    sound, picture = outcome.outgoing_added
    assert (sound.mid, sound.cname, sound.nack) == ("0", "PA_1", False)
    assert (picture.mid, picture.nack) == ("3", True)
    assert sound.ssrc != picture.ssrc
    mine = section(outcome, "3")
    assert mine.direction is Direction.SENDONLY
    assert f"a=msid:{video(1).stream_id} TR_v1\r\n" in outcome.sdp
    assert f"a=ssrc:{picture.ssrc} cname:PA_1\r\n" in outcome.sdp
    assert "transport-cc" in mine.formats[0].feedback
    for track in (sound, picture):
        assert TRANSPORT_SEQUENCE in {uri for _, uri in track.extensions}
    assert not client.answerer.needs_negotiation()


@pytest.mark.parametrize("without", ["a=rtcp-fb:{} transport-cc", "a=extmap:{} " + DRAFT])
def test_packets_are_numbered_only_for_who_takes_the_numbers_and_tells_of_them(
    without: str,
) -> None:
    client = Client()
    client.answerer.want(audio(1))
    client.answerer.want(video(1))
    pattern = re.escape(without).replace(r"\{\}", r"\d+") + r"\S*\r\n"
    sdp, count = re.subn(pattern, "", FIRST)
    assert count
    outcome = client.offer(sdp)
    assert (
        "transport-cc" not in section(outcome, "3").formats[0].feedback or "extmap" not in without
    )
    for track in outcome.outgoing_added:
        assert TRANSPORT_SEQUENCE not in {uri for _, uri in track.extensions}


def test_the_map_is_complete_in_every_answer() -> None:
    client = Client()
    client.answerer.want(audio(1))
    client.offer(FIRST)
    client.answerer.want(audio(2))
    outcome = client.offer(FIRST)
    assert outcome.mid_to_track == {"0": "TR_a1", "1": "TR_a2"}
    assert [t.track_id for t in outcome.outgoing_added] == ["TR_a2"]


def test_formats_are_the_publishers_in_its_order_as_the_subscriber_numbers_them() -> None:
    client = Client()
    client.answerer.want(video(1, H264, VP8))
    outcome = client.offer(FIRST)
    numbered = [(f.payload_type, f.codec) for f in outcome.outgoing_added[0].formats]
    assert numbered == [(102, "h264"), (108, "h264"), (96, "vp8")]
    assert [f.payload_type for f in section(outcome, "3").formats] == [
        *(102, 108, 96),
        *(103, 109, 97),
    ]


def test_profiles_are_not_mistaken_for_one_another() -> None:
    profile_2 = FormatSpec(98, "vp9", "video/VP9", "profile-id=2")
    client = Client()
    client.answerer.want(video(1, profile_2))
    (track,) = client.offer(FIRST).outgoing_added
    assert [f.payload_type for f in track.formats] == [100]


def test_sections_that_lack_are_counted_by_kind() -> None:
    client = Client()
    for number in range(5):
        client.answerer.want(audio(number))
    client.answerer.want(video(0))
    outcome = client.offer(FIRST)
    assert len(outcome.mid_to_track) == 4
    assert client.answerer.missing() == (2, 0)
    assert client.answerer.needs_negotiation()


def test_an_unwanted_section_rests_once_and_then_carries_something_new() -> None:
    client = Client()
    for number in range(3):
        client.answerer.want(video(number))
    before = client.offer(FIRST)
    client.answerer.unwant("TR_v0")
    client.answerer.want(video(7))
    assert client.answerer.missing() == (0, 0)  # the resting section will do
    resting = client.offer(FIRST)
    assert resting.outgoing_removed == ("TR_v0",)
    assert section(resting, "3").direction is Direction.INACTIVE
    assert "TR_v7" not in resting.mid_to_track.values()
    assert client.answerer.needs_negotiation()
    after = client.offer(FIRST)
    assert after.mid_to_track["3"] == "TR_v7"
    assert after.outgoing_added[0].ssrc not in {t.ssrc for t in before.outgoing_added}
    assert not client.answerer.needs_negotiation()


def test_wanting_again_never_reuses_an_ssrc() -> None:
    client = Client()
    client.answerer.want(audio(1))
    first = client.offer(FIRST).outgoing_added[0]
    client.answerer.unwant("TR_a1")
    client.answerer.want(audio(1))
    outcome = client.offer(FIRST)
    assert outcome.outgoing_removed == ("TR_a1",)
    (again,) = outcome.outgoing_added
    assert again.ssrc != first.ssrc
    assert again.mid != first.mid


def test_our_ssrcs_avoid_the_clients() -> None:
    theirs = parse(CHROMIUM).sections[7].sources[0].ssrc
    client = Client()
    client.ssrcs = itertools.count(theirs)
    client.answerer.want(audio(1))
    assert client.offer(CHROMIUM).outgoing_added[0].ssrc == theirs + 1


def test_a_codec_the_client_cannot_take_is_reported_and_not_asked_for_again() -> None:
    client = Client()
    client.answerer.want(video(1, H264))
    outcome = client.offer(read("firefox-first.sdp"))
    assert outcome.unservable == ("TR_v1",)
    assert outcome.mid_to_track == {}
    assert client.answerer.missing() == (0, 0)
    assert not client.answerer.needs_negotiation()


def test_a_section_the_client_closes_gives_its_track_to_another() -> None:
    client = Client()
    client.answerer.want(audio(1))
    client.offer(FIRST)
    outcome = client.offer(FIRST.replace("a=recvonly", "a=inactive", 1))
    assert outcome.outgoing_removed == ("TR_a1",)
    assert outcome.mid_to_track == {"1": "TR_a1"}


def test_a_section_can_carry_both_ways() -> None:
    sdp = CHROMIUM.replace("a=sendonly", "a=sendrecv")
    sdp = sdp.replace("a=recvonly", "a=inactive")
    client = Client()
    client.answerer.want(audio(1))
    outcome = client.offer(sdp, [MIC])
    mine = section(outcome, "7")
    assert mine.direction is Direction.SENDRECV
    assert outcome.mid_to_track == {"7": "TR_a1"}
    assert outcome.incoming_added[0].mid == "7"


def test_a_publishing_transport_never_sends() -> None:
    client = Client(receive_only=True)
    client.answerer.want(audio(1))
    outcome = client.offer(CHROMIUM, [MIC])
    assert outcome.mid_to_track == {}
    assert client.answerer.missing() == (0, 0)
    assert not client.answerer.needs_negotiation()


def test_what_is_missing_stays_below_the_cap_on_sections() -> None:
    client = Client()
    for number in range(300):
        client.answerer.want(audio(number))
        client.answerer.want(video(number))
    client.offer(FIRST)
    assert sum(client.answerer.missing()) == 128 - 7
