"""From the client: which offered section carries which announced track."""

from __future__ import annotations

import pytest

from sfu.negotiation import (
    Announced,
)
from sfu.sdp import Direction, parse
from tests.unit.sfu.negotiation_client import (
    CAMERA,
    CHROMIUM,
    FIREFOX,
    MIC,
    SCREEN,
    Client,
    inactive,
    refused,
    section,
)


def test_chromium_sections_find_their_tracks_by_cid() -> None:
    # Announced in another order than offered.
    outcome = Client().offer(CHROMIUM, [SCREEN, CAMERA, MIC])
    assert {t.track_id: t.mid for t in outcome.incoming_added} == {
        "TR_mic": "7",
        "TR_cam": "8",
        "TR_screen": "9",
    }
    assert outcome.parked == 0
    assert section(outcome, "7").direction is Direction.RECVONLY


def test_a_microphone_is_opus_known_by_its_ssrc() -> None:
    outcome = Client().offer(CHROMIUM, [MIC, CAMERA, SCREEN])
    mic = next(t for t in outcome.incoming_added if t.track_id == "TR_mic")
    ssrc = parse(CHROMIUM).sections[7].sources[0].ssrc
    assert mic.encodings == (f"ssrc:{ssrc}",)
    assert mic.clock_rate == 48_000
    assert mic.preferred.mime_type == "audio/opus"
    assert mic.preferred.fmtp == "minptime=10;useinbandfec=1;usedtx=1"
    assert (1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level") in mic.extensions


def test_simulcast_is_accepted_lowest_layer_first() -> None:
    outcome = Client().offer(CHROMIUM, [MIC, CAMERA, SCREEN])
    camera = next(t for t in outcome.incoming_added if t.track_id == "TR_cam")
    assert camera.encodings == ("rid:q", "rid:h", "rid:f")
    lines = outcome.sdp.split("\r\n")
    assert {"a=rid:q recv", "a=rid:h recv", "a=rid:f recv"} <= set(lines)
    assert "a=simulcast:recv q;h;f" in lines


def test_layers_named_by_livekit_are_sorted_whatever_order_they_come_in() -> None:
    sdp = CHROMIUM.replace("simulcast:send q;h;f", "simulcast:send f;h;q")
    outcome = Client().offer(sdp, [CAMERA])
    assert outcome.incoming_added[0].encodings == ("rid:q", "rid:h", "rid:f")
    assert "a=simulcast:recv f;h;q\r\n" in outcome.sdp


def test_a_fourth_layer_is_refused() -> None:
    sdp = CHROMIUM.replace("a=simulcast:send q;h;f", "a=rid:x send\r\na=simulcast:send q;h;f;x")
    outcome = Client().offer(sdp, [CAMERA])
    assert len(outcome.incoming_added[0].encodings) == 3
    assert "rid:x" not in outcome.sdp


def test_simulcast_without_the_rid_extension_is_not_accepted() -> None:
    sdp = CHROMIUM.replace("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "urn:x")
    outcome = Client().offer(sdp, [CAMERA])
    assert outcome.incoming_added[0].encodings == ("mid",)
    assert "a=simulcast" not in outcome.sdp


def test_a_retransmission_ssrc_is_no_second_stream() -> None:
    outcome = Client().offer(CHROMIUM, [SCREEN])
    primary = parse(CHROMIUM).sections[9].source_groups[0].ssrcs[0]
    assert outcome.incoming_added[0].encodings == (f"ssrc:{primary}",)


def test_firefox_tracks_are_matched_by_age_since_it_writes_other_names() -> None:
    announced = [
        Announced("TR_cam", "{unrelated-1}", "video"),
        Announced("TR_mic", "{unrelated-2}", "audio"),
        Announced("TR_screen", "{unrelated-3}", "video"),
    ]
    client = Client()
    outcome = client.offer(FIREFOX, announced)
    assert {t.track_id: t.mid for t in outcome.incoming_added} == {
        "TR_mic": "7",
        "TR_cam": "8",
        "TR_screen": "9",
    }
    camera = next(t for t in outcome.incoming_added if t.track_id == "TR_cam")
    assert camera.encodings == ("rid:q", "rid:h", "rid:f")  # though it announces SSRCs as well
    assert 6 not in {id_ for id_, _ in camera.extensions}  # offered as receive-only
    # A later offer with the same sections changes nothing.
    again = client.offer(FIREFOX, [])
    assert (again.incoming_added, again.incoming_removed, again.parked) == ((), (), 0)


def test_an_exact_name_wins_over_age() -> None:
    stranger = Announced("TR_old", "never-offered", "video")
    outcome = Client().offer(CHROMIUM, [stranger, CAMERA, MIC])
    bound = {t.track_id: t.mid for t in outcome.incoming_added}
    assert bound["TR_cam"] == "8"
    assert bound["TR_old"] == "9"


def test_feedback_is_only_what_is_really_given() -> None:
    outcome = Client().offer(CHROMIUM, [MIC, CAMERA])
    assert set(section(outcome, "8").formats[0].feedback) == {
        "transport-cc",
        "ccm fir",
        "nack",
        "nack pli",
    }
    sound, idle = section(outcome, "7"), section(outcome, "0")
    numbers = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
    assert set(sound.formats[0].feedback) <= {"nack"}
    assert numbers not in {entry.uri for entry in sound.extensions}
    assert numbers in {entry.uri for entry in idle.extensions}, "one that we send in"
    assert set(section(outcome, "3").formats[0].feedback) == {
        "transport-cc",
        "ccm fir",
        "nack",
        "nack pli",
    }
    assert "goog-remb" not in outcome.sdp


def test_a_section_that_nobody_announced_is_parked_until_somebody_does() -> None:
    client = Client()
    parked = client.offer(CHROMIUM, [MIC])
    assert parked.parked == 2
    assert section(parked, "8").direction is Direction.INACTIVE
    bound = client.offer(CHROMIUM, [CAMERA, SCREEN])
    assert bound.parked == 0
    assert [t.track_id for t in bound.incoming_added] == ["TR_cam", "TR_screen"]
    assert bound.incoming_removed == ()


def test_a_stopped_section_removes_its_track() -> None:
    client = Client()
    client.offer(CHROMIUM, [MIC, CAMERA, SCREEN])
    outcome = client.offer(inactive(CHROMIUM, "8"))
    assert outcome.incoming_removed == ("TR_cam",)
    assert outcome.incoming_added == ()


def test_a_section_used_for_another_track_removes_one_and_adds_the_other() -> None:
    client = Client()
    client.offer(CHROMIUM, [MIC, CAMERA, SCREEN])
    changed = CHROMIUM.replace(SCREEN.cid, "another-track")
    outcome = client.offer(changed, [Announced("TR_new", "another-track", "video")])
    assert outcome.incoming_removed == ("TR_screen",)
    assert [(t.track_id, t.mid) for t in outcome.incoming_added] == [("TR_new", "9")]


def test_a_changed_fmtp_does_not_disturb_a_running_track() -> None:
    client = Client()
    client.offer(CHROMIUM, [MIC, CAMERA, SCREEN])
    louder = CHROMIUM.replace(
        "a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google-start-bitrate=900"
    )
    outcome = client.offer(louder.replace("useinbandfec=1", "useinbandfec=1;stereo=1"))
    assert (outcome.incoming_added, outcome.incoming_removed) == ((), ())


def test_an_ended_track_is_answered_inactive_for_as_long_as_it_is_offered() -> None:
    client = Client()
    client.offer(CHROMIUM, [MIC, CAMERA, SCREEN])
    assert not client.answerer.needs_negotiation()
    client.answerer.end_track("TR_cam")
    assert client.answerer.needs_negotiation()
    # Another announced camera must not fall into the ended section.
    for expected in (("TR_cam",), ()):
        outcome = client.offer(CHROMIUM, [Announced("TR_next", "not-offered-yet", "video")])
        assert outcome.incoming_removed == expected
        assert outcome.incoming_added == ()
        assert outcome.parked == 0
        assert section(outcome, "8").direction is Direction.INACTIVE
        assert not client.answerer.needs_negotiation()


def test_two_sections_cannot_claim_one_ssrc() -> None:
    ssrc = parse(CHROMIUM).sections[7].sources[0].ssrc
    # The line ends up in the last section, which carries the screen.
    assert refused(Client(), f"{CHROMIUM}a=ssrc:{ssrc} cname:x\r\n") == "sdp_malformed"


SIMULCAST = """\
a=ssrc-group:SIM 11 12 13
a=ssrc-group:FID 11 21
a=ssrc-group:FID 12 22
a=ssrc-group:FID 13 23
""" + "".join(f"a=ssrc:{ssrc} cname:x\n" for ssrc in (11, 12, 13, 21, 22, 23))


def grouped(lines: str, extra: str = "") -> str:
    """The offer whose screen, its last section, is told by these lines instead of its own."""
    head, mark, tail = CHROMIUM.partition("a=mid:9\r\n")
    kept = [line for line in tail.split("\r\n") if not line.startswith("a=ssrc")]
    return head + mark + "\r\n".join(kept) + (lines + extra).replace("\n", "\r\n")


def test_an_ssrc_group_is_simulcast_lowest_layer_first() -> None:
    (screen,) = Client().offer(grouped(SIMULCAST), [SCREEN]).incoming_added
    assert screen.encodings == ("ssrc:11", "ssrc:12", "ssrc:13")
    assert screen.repair_streams == ((11, 21), (12, 22), (13, 23))


def test_layers_of_an_ssrc_group_are_taken_in_its_order_not_by_number() -> None:
    (screen,) = (
        Client()
        .offer(grouped(SIMULCAST.replace("SIM 11 12 13", "SIM 13 11 12")), [SCREEN])
        .incoming_added
    )
    assert screen.encodings == ("ssrc:13", "ssrc:11", "ssrc:12")


def test_the_same_group_offered_again_goes_on_and_another_one_begins_anew() -> None:
    client = Client()
    client.offer(grouped(SIMULCAST), [SCREEN])
    again = client.offer(grouped(SIMULCAST))
    assert (again.incoming_added, again.incoming_removed) == ((), ())
    other = client.offer(grouped(SIMULCAST.replace("SIM 11 12 13", "SIM 11 12")))
    assert other.incoming_removed == ("TR_screen",)
    assert other.incoming_added[0].encodings == ("ssrc:11", "ssrc:12")


def test_a_fourth_layer_of_an_ssrc_group_is_not_taken() -> None:
    four = SIMULCAST.replace("SIM 11 12 13", "SIM 11 12 13 14")
    (screen,) = Client().offer(grouped(four, "a=ssrc:14 cname:x\n"), [SCREEN]).incoming_added
    assert screen.encodings == ("ssrc:11", "ssrc:12", "ssrc:13")


def test_a_group_of_one_is_a_single_stream_and_rids_go_before_groups() -> None:
    single = "a=ssrc-group:SIM 11\na=ssrc-group:FID 11 21\na=ssrc:11 cname:x\na=ssrc:21 cname:x\n"
    (screen,) = Client().offer(grouped(single), [SCREEN]).incoming_added
    assert screen.encodings == ("ssrc:11",)
    head, mark, tail = CHROMIUM.partition("a=mid:8\r\n")
    both = head + mark + SIMULCAST.replace("\n", "\r\n") + tail
    (camera,) = Client().offer(both, [CAMERA]).incoming_added
    assert camera.encodings == ("rid:q", "rid:h", "rid:f")


@pytest.mark.parametrize(
    "group",
    [
        "SIM 11 12 99",
        "SIM 11 12 12",
        "SIM 11 12 22",
        "SIM 11 12\na=ssrc-group:SIM 12 13",
        f"SIM 11 12 {parse(CHROMIUM).sections[7].sources[0].ssrc}",
    ],
    ids=["unknown", "twice", "retransmission", "two groups", "another section's"],
)
def test_a_simulcast_group_that_cannot_be_true_is_refused(group: str) -> None:
    sdp = grouped(SIMULCAST.replace("SIM 11 12 13", group))
    assert refused(Client(), sdp) == "sdp_malformed"
