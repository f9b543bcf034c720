"""A viewer's one offer: sections that stand open, and what is put into them later."""

from __future__ import annotations

import itertools

import pytest

from sfu.errors import SdpError
from sfu.negotiation import (
    Candidate,
    Fingerprint,
    FormatSpec,
    LocalTransport,
    Viewer,
    Wanted,
    read_offer,
)
from sfu.sdp import Direction, Section, parse

OURS = Fingerprint("sha-256", ":".join(["5A"] * 32))
LOCAL = LocalTransport(
    ufrag="ourfragment",
    password="ourpasswordourpasswordour",
    fingerprints=(OURS,),
    candidates=(Candidate("127.0.0.1", 7882),),
    session_id=42,
)
TRANSPORT = (
    "a=ice-ufrag:abcd\na=ice-pwd:0123456789abcdefghijkl\n"
    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\na=setup:actpass\n"
)


def offer(*sections: str, sources: str = "") -> str:
    """`audio:recvonly`, `video:sendrecv` …; video offers VP8 and H.264."""
    mids = " ".join(str(number) for number in range(len(sections)))
    text = f"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE {mids}\n"
    for mid, words in enumerate(sections):
        kind, _, direction = words.partition(":")
        numbers, maps = "96 97", "a=rtpmap:96 VP8/90000\na=rtpmap:97 H264/90000\n"
        maps += "a=rtcp-fb:96 nack\na=rtcp-fb:96 nack pli\na=fmtp:97 packetization-mode=1\n"
        if kind == "audio":
            numbers, maps = "111", "a=rtpmap:111 opus/48000/2\n"
        text += (
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {numbers}\nc=IN IP4 0.0.0.0\n{TRANSPORT}"
            f"a=mid:{mid}\na={direction}\na=rtcp-mux\n"
            f"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\n{maps}{sources}"
        )
    return text.replace("\n", "\r\n")


BOTH = offer("audio:recvonly", "video:recvonly")


class Client:
    def __init__(self) -> None:
        self.viewer = Viewer(LOCAL)
        self.ssrcs = itertools.count(1000)

    def answered(self, sdp: str = BOTH) -> list[Section]:
        outcome = self.viewer.answer(sdp, (), lambda: next(self.ssrcs))
        return list(parse(outcome.sdp).sections)


def sound(number: int) -> Wanted:
    opus = FormatSpec(109, "opus", "audio/opus")
    return Wanted(f"TR_A{number}", f"PA|TR_A{number}", "audio", (opus,))


def picture(number: int, codec: str = "vp8") -> Wanted:
    spec = FormatSpec(120, "vp8", "video/VP8")
    if codec == "h264":
        spec = FormatSpec(126, "h264", "video/H264", "packetization-mode=1")
    return Wanted(f"TR_V{number}", f"PA|TR_V{number}", "video", (spec,))


def test_each_section_is_announced_with_an_ssrc_whether_anything_runs_or_not() -> None:
    sections = Client().answered()
    assert [section.direction for section in sections] == [Direction.SENDONLY] * 2
    ssrcs = [{source.ssrc for source in section.sources} for section in sections]
    assert ssrcs == [{1000}, {1001}]
    streams = {msid.stream for section in sections for msid in section.msids}
    assert len(streams) == 1, "one MediaStream for all"
    assert [entry.name for entry in sections[1].formats] == ["VP8", "H264"]


def test_a_viewers_packets_are_numbered_where_it_takes_the_numbers_and_tells_of_them() -> None:
    uri = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
    taken = f"a=extmap:3 {uri}\na=rtcp-fb:* transport-cc\n"
    for sources, numbered in ((taken, True), (f"a=extmap:3 {uri}\n", False)):
        viewer = Viewer(LOCAL)
        viewer.want(picture(1))
        outcome = viewer.answer(offer("video:recvonly", sources=sources), (), lambda: 1000)
        (track,) = outcome.outgoing_added
        assert (uri in {named for _, named in track.extensions}) is numbered


def test_a_section_that_could_send_too_is_answered_as_one_that_only_receives() -> None:
    (section,) = Client().answered(offer("audio:sendrecv"))
    assert section.direction is Direction.SENDONLY


def test_a_viewer_that_knows_no_other_rtcp_than_multiplexed_is_told_the_same() -> None:
    """RFC 9725 section 4.4.1, RFC 8858."""
    (section,) = Client().answered(offer("audio:recvonly"))
    assert not section.rtcp_mux_only
    (section,) = Client().answered(offer("audio:recvonly", sources="a=rtcp-mux-only\n"))
    assert section.rtcp_mux
    assert section.rtcp_mux_only


def test_our_ssrcs_are_none_of_the_viewers_own() -> None:
    taken = "a=ssrc:1000 cname:x\n"
    (section,) = Client().answered(offer("audio:sendrecv", sources=taken))
    assert {source.ssrc for source in section.sources} == {1001}


def test_what_is_wanted_before_the_offer_is_carried_with_the_answer() -> None:
    client = Client()
    client.viewer.want(sound(1))
    client.viewer.want(picture(1))
    outcome = client.viewer.answer(BOTH, (), lambda: next(client.ssrcs))
    assert outcome.mid_to_track == {"0": "TR_A1", "1": "TR_V1"}
    assert [(one.ssrc, one.nack) for one in outcome.outgoing_added] == [(1000, False), (1001, True)]
    assert client.viewer.fill() == ()


def test_what_is_wanted_later_takes_the_place_that_was_announced() -> None:
    client = Client()
    client.answered()
    client.viewer.want(picture(1))
    (carried,) = client.viewer.fill()
    assert (carried.mid, carried.ssrc) == ("1", 1001)
    assert [spec.payload_type for spec in carried.formats] == [96]


def test_a_place_is_given_to_the_next_under_the_same_ssrc() -> None:
    client = Client()
    client.answered()
    client.viewer.want(picture(1))
    (first,) = client.viewer.fill()
    client.viewer.want(picture(2, "h264"))
    assert client.viewer.fill() == (), "one at a time"
    client.viewer.unwant("TR_V1")
    (second,) = client.viewer.fill()
    assert (second.track_id, second.ssrc, second.cname) == ("TR_V2", first.ssrc, first.cname)
    assert [spec.payload_type for spec in second.formats] == [97]


def test_what_no_section_can_carry_waits_without_taking_a_place() -> None:
    client = Client()
    client.answered(offer("video:recvonly"))
    client.viewer.want(sound(1))
    av1 = FormatSpec(45, "av1", "video/AV1")
    client.viewer.want(Wanted("TR_V9", "PA|TR_V9", "video", (av1,)))
    client.viewer.want(picture(1))
    assert [one.track_id for one in client.viewer.fill()] == ["TR_V1"]


def test_a_second_offer_is_refused() -> None:
    client = Client()
    client.answered()
    with pytest.raises(SdpError):
        client.answered()


def test_a_refused_offer_leaves_room_for_a_better_one() -> None:
    client = Client()
    with pytest.raises(SdpError):
        client.answered("v=0\r\n")
    assert len(client.answered()) == 2


def test_an_offer_is_read_for_whoever_decides_about_it() -> None:
    text = offer("audio:sendonly", "video:sendrecv", "text:sendonly")
    found = [(one.kind, one.sends, one.receives, one.usable) for one in read_offer(text)]
    assert found == [("audio", True, False, True), ("video", True, True, True)]
    (alien,) = read_offer(offer("audio:recvonly").replace("opus/48000/2", "PCMU/8000"))
    assert not alien.usable


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("a=fingerprint", "a=x", "sdp_no_fingerprint"),
        ("a=ice-ufrag", "a=x", "sdp_no_ice"),
        ("a=setup:actpass", "a=setup:passive", "sdp_setup"),
        ("a=rtcp-mux", "a=x", "sdp_bundle"),
        ("v=0", "v=1", "sdp_malformed"),
    ],
)
def test_an_offer_that_would_not_be_answered_is_not_read_either(
    old: str, new: str, code: str
) -> None:
    with pytest.raises(SdpError) as refusal:
        read_offer(BOTH.replace(old, new))
    assert refusal.value.code == code
