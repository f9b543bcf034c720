"""Answering a client: what of its offer is accepted, and that a refusal changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import SdpError
from sfu.negotiation import (
    Announced,
    Wanted,
)
from sfu.sdp import Direction, parse
from tests.unit.sfu.negotiation_client import (
    CAMERA,
    CHROMIUM,
    FIREFOX,
    FIRST,
    LOCAL,
    MIC,
    OPUS,
    OURS,
    SCREEN,
    Client,
    answered,
    audio,
    cid,
    edit,
    inactive,
    read,
    refused,
    section,
    video,
)

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
