"""Answering a client: what of it is accepted, which section carries which track."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import SdpError
from sfu.negotiation import (
    Announced,
    Answerer,
    Candidate,
    Fingerprint,
    FormatSpec,
    LocalTransport,
    Outcome,
    Wanted,
)
from sfu.sdp import Description, Direction, Section, parse

FIXTURES = Path(__file__).parent / "fixtures"
DRAFT = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions"
TRANSPORT_SEQUENCE = DRAFT + "-01"
OURS = Fingerprint("sha-256", ":".join(["5A"] * 32))
LOCAL = LocalTransport(
    ufrag="ourfragment",
    password="ourpasswordourpasswordour",
    fingerprints=(OURS,),
    candidates=(Candidate("127.0.0.1", 7882), Candidate("::1", 7882, priority=2130706175)),
    session_id=42,
)
OPUS = FormatSpec(111, "opus", "audio/opus", "minptime=10;useinbandfec=1")
VP8 = FormatSpec(120, "vp8", "video/VP8")
H264 = FormatSpec(126, "h264", "video/H264", "packetization-mode=1;profile-level-id=42e01f")


def read(name: str) -> str:
    return (FIXTURES / name).read_text().replace("\n", "\r\n")


def cid(sdp: str, mid: str) -> str:
    """The MediaStreamTrack id that Chromium wrote into a section."""
    section = next(section for section in parse(sdp).sections if section.mid == mid)
    return section.msids[0].track


class Client:
    """One answerer, the offers it got, and a counter for SSRCs."""

    def __init__(self, *, receive_only: bool = False) -> None:
        self.answerer = Answerer(LOCAL, receive_only=receive_only)
        self.ssrcs = itertools.count(1000)

    def offer(self, sdp: str, announced: Sequence[Announced] = ()) -> Outcome:
        return self.answerer.answer(sdp, announced, lambda: next(self.ssrcs))


def answered(outcome: Outcome) -> Description:
    return parse(outcome.sdp)


def section(outcome: Outcome, mid: str) -> Section:
    return next(entry for entry in answered(outcome).sections if entry.mid == mid)


def audio(number: int) -> Wanted:
    return Wanted(f"TR_a{number}", f"PA_{number}|TR_a{number}", "audio", (OPUS,))


def video(number: int, *formats: FormatSpec) -> Wanted:
    return Wanted(f"TR_v{number}", f"PA_{number}|TR_v{number}", "video", formats or (VP8, H264))


def refused(client: Client, sdp: str) -> str:
    with pytest.raises(SdpError) as caught:
        client.offer(sdp)
    return caught.value.code


# --- The shape of an answer ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chromium-first.sdp", "firefox-first.sdp", "python-first.sdp"])
def test_an_answer_mirrors_the_offer_section_by_section(name: str) -> None:
    offer = parse(read(name))
    outcome = Client().offer(read(name))
    answer = answered(outcome)
    assert [(s.kind, s.mid) for s in answer.sections] == [(s.kind, s.mid) for s in offer.sections]
    assert answer.bundle == offer.bundle
    assert answer.ice_lite
    assert outcome.data_channel
    for mine in answer.sections:
        assert (mine.ufrag, mine.password) == (LOCAL.ufrag, LOCAL.password)
        assert mine.fingerprints == (OURS,)
        assert mine.setup == "passive"
        assert mine.port == 7882
        if mine.is_rtp:
            assert mine.direction is Direction.INACTIVE
            assert mine.rtcp_mux


def test_candidates_stand_once_in_the_bundle_and_are_complete() -> None:
    sdp = Client().offer(read("chromium-first.sdp")).sdp
    assert sdp.count("a=candidate:") == 2
    assert sdp.count("a=end-of-candidates") == 1
    assert sdp.index("a=end-of-candidates") < sdp.index("a=mid:1")


def test_payload_types_and_extension_ids_are_the_clients() -> None:
    outcome = Client().offer(read("firefox-first.sdp"))
    assert [entry.payload_type for entry in section(outcome, "0").formats] == [109]
    assert [entry.payload_type for entry in section(outcome, "3").formats] == [
        *(120, 121, 99),
        *(124, 125, 100),  # what repairs each of them
    ]
    offered = {(e.id, e.uri) for e in parse(read("firefox-first.sdp")).sections[0].extensions}
    mine = {(e.id, e.uri) for e in section(outcome, "0").extensions}
    assert mine <= offered
    assert (3, "urn:ietf:params:rtp-hdrext:sdes:mid") in mine


def test_the_first_answer_accepts_what_simulcast_will_need() -> None:
    uris = {e.uri for e in section(Client().offer(read("chromium-first.sdp")), "3").extensions}
    assert {
        "urn:ietf:params:rtp-hdrext:sdes:mid",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    } <= uris


def test_an_extension_of_one_direction_is_answered_with_the_other() -> None:
    outcome = Client().offer(read("firefox-publishing.sdp"))
    directions = {e.id: e.direction for e in section(outcome, "8").extensions}
    assert directions[9] is Direction.RECVONLY
    assert directions[6] is Direction.SENDONLY


def test_redundancy_of_sound_is_taken_and_forward_error_correction_is_not() -> None:
    names = {
        entry.name.lower()
        for mine in answered(Client().offer(read("chromium-publishing.sdp"))).sections
        for entry in mine.formats
    }
    assert names == {"opus", "red", "vp8", "vp9", "h264", "av1", "rtx"}
    video = section(Client().offer(read("firefox-publishing.sdp")), "8")
    assert "red" not in {entry.name.lower() for entry in video.formats}, "that of pictures is FEC"


def test_a_publisher_is_asked_for_redundancy_unless_its_track_must_not_have_it() -> None:
    sdp = read("chromium-publishing.sdp")
    mid = next(s.mid for s in parse(sdp).sections if s.kind == "audio" and s.direction.sends)
    cid_of_sound = cid(sdp, mid)
    for redundant, expected in ((True, ["red", "opus"]), (False, ["opus"])):
        announced = [Announced("TR_a", cid_of_sound, "audio", redundant)]
        outcome = Client().offer(sdp, announced)
        assert [entry.name.lower() for entry in section(outcome, mid).formats] == expected
        (track,) = outcome.incoming_added
        assert [spec.codec for spec in track.formats] == expected
        assert track.preferred.mime_type == "audio/opus"
        assert track.redundant is redundant


def test_redundancy_of_what_is_not_opus_is_left_out() -> None:
    sdp = read("chromium-publishing.sdp")
    mid = next(s.mid for s in parse(sdp).sections if s.kind == "audio" and s.direction.sends)
    assert "a=fmtp:63 111/111\r\n" in sdp
    for damage in ("", "a=fmtp:63 111/0\r\n", "a=fmtp:63 /\r\n", "a=fmtp:63 x=y\r\n"):
        outcome = Client().offer(sdp.replace("a=fmtp:63 111/111\r\n", damage))
        assert [entry.name.lower() for entry in section(outcome, mid).formats] == ["opus"]


def test_a_subscriber_gets_redundancy_where_it_takes_it_and_the_track_may_have_it() -> None:
    for redundant, expected in ((True, {"opus", "red"}), (False, {"opus"})):
        client = Client()
        wanted = Wanted("TR_a", "PA_x|TR_a", "audio", (OPUS,), redundant)
        client.answerer.want(wanted)
        (track,) = client.offer(read("chromium-first.sdp")).outgoing_added
        assert {spec.codec for spec in track.formats} == expected
    firefox = Client()
    firefox.answerer.want(Wanted("TR_a", "PA_x|TR_a", "audio", (OPUS,)))
    (track,) = firefox.offer(read("firefox-first.sdp")).outgoing_added
    assert [spec.codec for spec in track.formats] == ["opus"]


def test_formats_beyond_any_honest_number_are_left_out() -> None:
    types = [number for number in range(128) if number not in (0, 63, 111)]
    maps = "".join(f"a=rtpmap:{number} VP8/90000\r\n" for number in types)
    sdp = read("python-first.sdp").replace(
        "SAVPF 96 97 98 103", f"SAVPF {' '.join(map(str, types))}"
    )
    sdp = re.sub(r"a=rtpmap:96 VP8/90000\r\n", maps, sdp)
    assert len(section(Client().offer(sdp), "1").formats) == 32


def test_large_extension_ids_wait_for_the_two_byte_form() -> None:
    sdp = read("python-first.sdp").replace("a=extmap:10 ", "a=extmap:16 ")
    assert 16 in {e.id for e in section(Client().offer(sdp), "1").extensions}
    short = sdp.replace("a=extmap-allow-mixed\r\n", "")
    assert 16 not in {e.id for e in section(Client().offer(short), "1").extensions}


def test_the_data_section_says_what_we_take() -> None:
    data = section(Client().offer(read("chromium-first.sdp")), "6")
    assert (data.sctp_port, data.max_message_size) == (5000, 65_535)


def test_sections_we_cannot_use_are_refused_and_leave_the_bundle() -> None:
    extra = (
        "m=text 9 UDP/TLS/RTP/SAVPF 98\r\nc=IN IP4 0.0.0.0\r\na=mid:t\r\na=rtcp-mux\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:pcm\r\na=rtcp-mux\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:lone\r\n"
        "a=rtpmap:111 opus/48000/2\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:again\r\n"
    )
    sdp = read("python-first.sdp").replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 t pcm again") + extra
    answer = answered(Client().offer(sdp))
    assert [mine.port for mine in answer.sections] == [7882] * 3 + [0] * 4
    assert answer.bundle == ("0", "1", "2")


# --- Transport -------------------------------------------------------------------------------


def test_the_clients_transport_is_handed_on() -> None:
    remote = Client().offer(read("python-first.sdp")).remote
    assert (remote.ufrag, remote.setup) == ("Kx3w", "actpass")
    assert remote.password == "2tJvqW0n5mYbE8RkPz7LcS4h"
    assert remote.password not in repr(remote)
    assert [entry.algorithm for entry in remote.fingerprints] == ["sha-256"]


def edit(old: str, new: str) -> Callable[[str], str]:
    return lambda sdp: re.sub(old, new, sdp)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (edit(r"a=fingerprint:.*\r\n", ""), "sdp_no_fingerprint"),
        (edit("sha-256 (.{59}).{36}", r"sha-1 \1"), "sdp_weak_fingerprint"),
        (lambda sdp: sdp.replace("3C:0D", "3C:0E", 1), "sdp_bundle"),
        (edit(r"a=ice-ufrag:.*\r\n", ""), "sdp_no_ice"),
        (edit(r"a=ice-pwd:.*\r\n", ""), "sdp_no_ice"),
        (edit(r"a=group:.*\r\n", ""), "sdp_bundle"),
        (lambda sdp: sdp.replace("a=rtcp-mux\r\n", "", 1), "sdp_bundle"),
        (edit("actpass", "passive"), "sdp_setup"),
        (edit("rtpmap:98 VP9", "rtpmap:111 VP9"), None),
        (lambda sdp: sdp[: sdp.index("m=audio")], "sdp_malformed"),
        (lambda sdp: "", "sdp_malformed"),
    ],
)
def test_a_transport_we_cannot_trust_is_refused(
    change: Callable[[str], str], code: str | None
) -> None:
    sdp = read("python-first.sdp")
    Client().offer(sdp)
    assert change(sdp) != sdp
    if code is None:
        Client().offer(change(sdp))
    else:
        assert refused(Client(), change(sdp)) == code


def test_a_weak_fingerprint_beside_a_strong_one_is_ignored() -> None:
    weak = "a=fingerprint:sha-1 " + ":".join(["00"] * 20) + "\r\na=setup"
    remote = Client().offer(read("python-first.sdp").replace("a=setup", weak)).remote
    assert [entry.algorithm for entry in remote.fingerprints] == ["sha-256"]


def test_every_strong_fingerprint_is_kept_for_checking() -> None:
    strong = "a=fingerprint:sha-512 " + ":".join(["00"] * 64) + "\r\na=setup"
    remote = Client().offer(read("python-first.sdp").replace("a=setup", strong)).remote
    assert {entry.algorithm for entry in remote.fingerprints} == {"sha-256", "sha-512"}


def test_one_payload_type_with_two_meanings_is_refused() -> None:
    sdp = read("python-first.sdp")
    sdp = sdp.replace("SAVPF 96 97 98 103", "SAVPF 111 97 98 103").replace(":96 VP8", ":111 VP8")
    assert refused(Client(), sdp) == "sdp_malformed"


# --- From the client -------------------------------------------------------------------------

CHROMIUM = read("chromium-publishing.sdp")
FIREFOX = read("firefox-publishing.sdp")
MIC = Announced("TR_mic", cid(CHROMIUM, "7"), "audio")
CAMERA = Announced("TR_cam", cid(CHROMIUM, "8"), "video")
SCREEN = Announced("TR_screen", cid(CHROMIUM, "9"), "video")


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
    assert set(section(outcome, "7").formats[0].feedback) <= {"transport-cc", "nack"}
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


def inactive(sdp: str, mid: str) -> str:
    """The offer with one of its sending sections stopped."""
    head, mark, tail = sdp.partition(f"a=mid:{mid}\r\n")
    return head + mark + tail.replace("a=sendonly", "a=inactive", 1)


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


# --- To the client ---------------------------------------------------------------------------

FIRST = read("chromium-first.sdp")


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


# --- Refusals change nothing -----------------------------------------------------------------


def test_a_refused_offer_leaves_everything_as_it_was() -> None:
    client, twin = Client(), Client()
    for one in (client, twin):
        one.answerer.want(audio(1))
        one.offer(CHROMIUM, [MIC, CAMERA])
        one.answerer.want(video(1))
        one.answerer.end_track("TR_mic")
    for broken in (CHROMIUM[:-3], FIRST, "v" * 2**20, inactive(CHROMIUM, "8")[:9000]):
        refused(client, broken)
    assert client.offer(CHROMIUM, [SCREEN]) == twin.offer(CHROMIUM, [SCREEN])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutated_offer_is_answered_or_refused(data: st.DataObject) -> None:
    client = Client()
    client.answerer.want(audio(1))
    client.answerer.want(video(1))
    lines = data.draw(st.sampled_from([CHROMIUM, FIREFOX])).split("\r\n")[:-1]
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        other = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "swap", "copy", "edit"])):
            case "drop":
                del lines[index]
            case "swap":
                lines[index], lines[other] = lines[other], lines[index]
            case "copy":
                lines.insert(index, lines[other])
            case _:
                at = data.draw(st.integers(0, len(lines[index])))
                lines[index] = lines[index][:at] + data.draw(st.text(max_size=4))
    sdp = "\r\n".join(lines) + "\r\n"
    try:
        outcome = client.offer(sdp, [MIC, CAMERA, SCREEN])
    except SdpError:
        return
    answer = answered(outcome)
    assert len(answer.sections) == len(parse(sdp).sections)
    for entry in answer.sections:
        assert not entry.is_rtp or entry.rejected or entry.formats


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["want", "unwant"]), st.integers(0, 4)), max_size=12))
def test_negotiating_until_nothing_is_needed_carries_exactly_what_is_wanted(
    steps: list[tuple[str, int]],
) -> None:
    client = Client()
    wanted: set[str] = set()
    ssrcs: list[int] = []
    for step, number in steps:
        track = audio(number)
        if step == "want":
            client.answerer.want(track)
            wanted.add(track.track_id)
        else:
            client.answerer.unwant(track.track_id)
            wanted.discard(track.track_id)
        ssrcs += [t.ssrc for t in client.offer(FIRST).outgoing_added]
    outcome = client.offer(FIRST)
    for _ in range(3):
        ssrcs += [t.ssrc for t in outcome.outgoing_added]
        outcome = client.offer(FIRST)
    assert len(set(ssrcs)) == len(ssrcs)
    assert set(outcome.mid_to_track.values()) <= wanted
    assert len(outcome.mid_to_track) == min(3, len(wanted))
    assert client.answerer.missing() == (max(0, len(wanted) - 3), 0)
