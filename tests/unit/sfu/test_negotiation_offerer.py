"""Offering to a client: LiveKit's subscriber transport, one section per track."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sfu.errors import SdpError
from sfu.negotiation import (
    Candidate,
    Fingerprint,
    FormatSpec,
    LocalTransport,
    Offerer,
    Outcome,
    Wanted,
)
from sfu.sdp import MAX_SECTIONS, Description, Direction, Section, parse, serialise

TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
FIXTURES = Path(__file__).parent / "fixtures"
LOCAL = LocalTransport(
    ufrag="ourfragment",
    password="ourpasswordourpasswordour",
    fingerprints=(Fingerprint("sha-256", ":".join(["5A"] * 32)),),
    candidates=(Candidate("127.0.0.1", 7882),),
    session_id=42,
)
OPUS = FormatSpec(109, "opus", "audio/opus")
VP8 = FormatSpec(120, "vp8", "video/VP8")
H264 = FormatSpec(126, "h264", "video/H264", "packetization-mode=1;profile-level-id=42e01f")


def read(name: str) -> str:
    return (FIXTURES / name).read_text().replace("\n", "\r\n")


def audio(number: int) -> Wanted:
    return Wanted(f"TR_a{number}", f"PA_{number}|TR_a{number}", "audio", (OPUS,))


def video(number: int, *formats: FormatSpec) -> Wanted:
    return Wanted(f"TR_v{number}", f"PA_{number}|TR_v{number}", "video", formats or (VP8, H264))


def taken(section: Section) -> Section:
    """A client's answer to one section: it takes everything."""
    return replace(
        section,
        direction=section.direction.mirrored,
        ufrag="theirs",
        password="theirpasswordtheirpassword",
        setup="active",
        msids=(),
        sources=(),
        source_groups=(),
        candidates=(),
    )


def refusing(codec: str) -> Callable[[Section], Section]:
    """A client without one codec."""

    def answer(section: Section) -> Section:
        left = tuple(f for f in section.formats if f.name.lower() != codec)
        types = {f"apt={f.payload_type}" for f in left}
        left = tuple(f for f in left if f.name != "rtx" or f.fmtp in types)
        if section.is_rtp and not left:
            return Section(section.kind, section.mid, port=0, direction=Direction.INACTIVE)
        return replace(taken(section), formats=left)

    return answer


class Call:
    """One offerer, a client that answers it, and a counter for SSRCs."""

    def __init__(self) -> None:
        self.offerer = Offerer(LOCAL)
        self.ssrcs = itertools.count(1000)

    def offer(self) -> Description:
        return parse(self.offerer.offer(lambda: next(self.ssrcs)))

    def round(self, answer: Callable[[Section], Section] = taken) -> Outcome:
        return self.accept(self.offer(), answer)

    def accept(self, offer: Description, answer: Callable[[Section], Section] = taken) -> Outcome:
        return self.offerer.accept_answer(self.text(offer, answer))

    def text(self, offer: Description, answer: Callable[[Section], Section] = taken) -> str:
        sections = tuple(s if s.rejected else answer(s) for s in offer.sections)
        bundle = tuple(s.mid for s in sections if not s.rejected)
        return serialise(replace(offer, sections=sections, bundle=bundle, ice_lite=False))


def test_the_first_offer_carries_the_data_channels() -> None:
    call = Call()
    assert call.offerer.needs_negotiation()
    offer = call.offer()
    (data,) = offer.sections
    assert (data.kind, data.mid, data.setup) == ("application", "0", "actpass")
    assert (data.sctp_port, data.max_message_size) == (5000, 65_535)
    assert offer.ice_lite
    assert data.end_of_candidates
    outcome = call.accept(offer)
    assert outcome.data_channel
    assert outcome.sdp == ""
    assert (outcome.remote.ufrag, outcome.remote.setup) == ("theirs", "active")
    assert not call.offerer.needs_negotiation()


def test_each_wanted_track_gets_its_own_section() -> None:
    call = Call()
    call.offerer.want(audio(1))
    call.offerer.want(video(1))
    offer = call.offer()
    assert [(s.kind, s.mid) for s in offer.sections] == [
        ("application", "0"),
        ("audio", "1"),
        ("video", "2"),
    ]
    assert offer.bundle == ("0", "1", "2")
    picture = offer.sections[2]
    assert picture.direction is Direction.SENDONLY
    assert picture.msids[0].stream == "PA_1|TR_v1"
    assert [f.payload_type for f in picture.formats] == [96, 125, 97, 107]
    assert {"transport-cc", "nack", "nack pli", "ccm fir"} == set(picture.formats[0].feedback)
    outcome = call.accept(offer)
    assert outcome.mid_to_track == {"1": "TR_a1", "2": "TR_v1"}
    sound, moving = outcome.outgoing_added
    assert (sound.mid, sound.cname, sound.ssrc) == ("1", "PA_1", 1000)
    assert moving.nack
    assert (4, "urn:ietf:params:rtp-hdrext:sdes:mid") in moving.extensions
    assert (3, TRANSPORT_SEQUENCE) in sound.extensions
    assert (3, TRANSPORT_SEQUENCE) in moving.extensions


def test_packets_are_not_numbered_for_a_client_that_does_not_tell_of_them() -> None:
    def silent(section: Section) -> Section:
        deaf = tuple(replace(entry, feedback=("nack",)) for entry in section.formats)
        return replace(taken(section), formats=deaf)

    call = Call()
    call.offerer.want(video(1))
    (moving,) = call.round(silent).outgoing_added
    assert TRANSPORT_SEQUENCE not in {uri for _, uri in moving.extensions}


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_the_answer_of_a_real_browser(browser: str) -> None:
    call = Call()
    call.round()
    call.offerer.want(audio(1))
    call.offerer.want(video(1))
    call.offer()
    outcome = call.offerer.accept_answer(read(f"{browser}-subscriber-answer.sdp"))
    assert outcome.mid_to_track == {"1": "TR_a1", "2": "TR_v1"}
    assert outcome.remote.setup == "active"
    assert outcome.outgoing_added[1].formats[0].codec == "vp8"
    codecs = {f.codec for f in outcome.outgoing_added[1].formats}
    assert codecs == ({"vp8", "h264"} if browser == "chromium" else {"vp8"})


def test_an_unwanted_section_is_offered_inactive_once_and_then_used_again() -> None:
    call = Call()
    call.offerer.want(video(1))
    call.round()
    call.offerer.unwant("TR_v1")
    assert call.offerer.needs_negotiation()
    offer = call.offer()
    assert offer.sections[1].direction is Direction.INACTIVE
    assert call.accept(offer).outgoing_removed == ("TR_v1",)
    assert not call.offerer.needs_negotiation()
    call.offerer.want(video(2))
    outcome = call.round()
    assert outcome.mid_to_track == {"1": "TR_v2"}
    assert outcome.outgoing_added[0].ssrc == 1002


def test_a_track_that_comes_while_another_leaves_gets_a_new_section() -> None:
    call = Call()
    call.offerer.want(video(1))
    call.round()
    call.offerer.unwant("TR_v1")
    call.offerer.want(video(2))
    assert call.round().mid_to_track == {"2": "TR_v2"}


def test_formats_the_client_dropped_are_not_sent() -> None:
    call = Call()
    call.offerer.want(video(1))
    (track,) = call.round(refusing("vp8")).outgoing_added
    assert [f.codec for f in track.formats] == ["h264"]


def test_a_track_the_client_cannot_take_is_not_offered_again() -> None:
    call = Call()
    call.offerer.want(video(1, H264))
    outcome = call.round(refusing("h264"))
    assert outcome.unservable == ("TR_v1",)
    assert outcome.outgoing_added == ()
    assert not call.offerer.needs_negotiation()
    # The refused section stays where it was, and others go on behind it.
    call.offerer.want(video(2))
    offer = call.offer()
    assert [s.port == 0 for s in offer.sections] == [False, True, False]
    assert offer.sections[1].kind == "video"
    assert call.accept(offer).mid_to_track == {"2": "TR_v2"}


def test_a_codec_that_is_never_offered_is_not_waited_for() -> None:
    call = Call()
    call.round()
    call.offerer.want(video(1, FormatSpec(98, "vp9", "video/VP9", "profile-id=3")))
    assert not call.offerer.needs_negotiation()


def test_unwanting_while_the_offer_is_on_its_way_ends_in_an_inactive_section() -> None:
    call = Call()
    call.offerer.want(audio(1))
    offer = call.offer()
    call.offerer.unwant("TR_a1")
    assert not call.offerer.needs_negotiation()  # one offer at a time
    outcome = call.accept(offer)
    assert outcome.outgoing_added == ()
    assert outcome.mid_to_track == {}
    assert call.offerer.needs_negotiation()
    assert call.offer().sections[1].direction is Direction.INACTIVE


def test_wanting_again_while_an_offer_is_on_its_way_draws_a_new_ssrc() -> None:
    call = Call()
    call.offerer.want(audio(1))
    call.round()
    offer = call.offer()
    call.offerer.unwant("TR_a1")
    call.offerer.want(audio(1))
    assert call.accept(offer).mid_to_track == {}
    ssrcs = [t.ssrc for t in (*call.round().outgoing_added, *call.round().outgoing_added)]
    assert ssrcs == [1001]


def test_sections_stop_at_the_cap() -> None:
    call = Call()
    for number in range(MAX_SECTIONS + 10):
        call.offerer.want(audio(number))
    outcome = call.round()
    assert len(outcome.mid_to_track) == MAX_SECTIONS - 1
    assert not call.offerer.needs_negotiation()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda sdp: sdp[:-1], "sdp_malformed"),
        (lambda sdp: sdp[: sdp.index("m=audio")].replace(" 1\r\n", "\r\n"), "sdp_malformed"),
        (lambda sdp: sdp.replace("m=audio", "m=video"), "sdp_malformed"),
        (lambda sdp: sdp.replace("setup:active", "setup:passive"), "sdp_setup"),
        (lambda sdp: sdp.replace("setup:active", "setup:actpass"), "sdp_setup"),
        (lambda sdp: sdp.replace("a=ice-ufrag:theirs\r\n", ""), "sdp_no_ice"),
        (lambda sdp: sdp.replace("a=fingerprint", "a=x-fingerprint"), "sdp_no_fingerprint"),
        (lambda sdp: sdp.replace("a=group", "a=x-group"), "sdp_bundle"),
    ],
)
def test_a_refused_answer_leaves_the_offer_open(change: Callable[[str], str], code: str) -> None:
    call = Call()
    call.offerer.want(audio(1))
    good = call.text(call.offer())
    assert change(good) != good
    with pytest.raises(SdpError) as caught:
        call.offerer.accept_answer(change(good))
    assert caught.value.code == code
    assert call.offerer.accept_answer(good).mid_to_track == {"1": "TR_a1"}


def test_an_answer_to_nothing_is_unexpected() -> None:
    call = Call()
    answer = call.text(call.offer())
    call.offerer.accept_answer(answer)
    with pytest.raises(SdpError) as caught:
        call.offerer.accept_answer(answer)
    assert caught.value.code == "sdp_unexpected"


def test_redundancy_is_offered_where_the_track_may_have_it() -> None:
    for redundant, expected in ((True, ["opus", "red"]), (False, ["opus"])):
        offerer = Offerer(LOCAL)
        offerer.want(Wanted("TR_a", "PA_x|TR_a", "audio", (OPUS,), redundant))
        (section,) = (s for s in parse(offerer.offer(lambda: 7)).sections if s.kind == "audio")
        assert [entry.name.lower() for entry in section.formats] == expected
        assert all(entry.fmtp == "111/111" for entry in section.formats if entry.name == "red")
