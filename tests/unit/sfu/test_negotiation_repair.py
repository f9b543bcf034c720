"""Lost packets: who may be asked for them, and on which streams they come back (RFC 4588)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sfu.errors import SdpError
from sfu.negotiation import (
    Announced,
    Answerer,
    Fingerprint,
    FormatSpec,
    LocalTransport,
    Offerer,
    Outcome,
    Viewer,
    Wanted,
)
from sfu.sdp import Candidate, Description, Section, parse, serialise

FIXTURES = Path(__file__).parent / "fixtures"
LOCAL = LocalTransport(
    ufrag="ourufrag",
    password="ourpasswordourpassword",
    fingerprints=(Fingerprint("sha-256", ":".join(["5A"] * 32)),),
    candidates=(Candidate("127.0.0.1", 7882),),
    session_id=42,
)
CAMERA = Announced("TR_cam", "cam-cid", "video")
PICTURE = Wanted("TR_v", "PA|TR_v", "video", (FormatSpec(120, "vp8", "video/VP8"),))
SOUND = Wanted("TR_a", "PA|TR_a", "audio", (FormatSpec(109, "opus", "audio/opus"),))


def read(name: str) -> str:
    return (FIXTURES / name).read_text().replace("\n", "\r\n")


def answer(engine: Answerer | Viewer, sdp: str, announced: Sequence[Announced] = ()) -> Outcome:
    ssrcs = itertools.count(1000)
    return engine.answer(sdp, announced, lambda: next(ssrcs))


def video_of(sdp: str) -> Section:
    """The first video section that carries something towards the client."""
    sections = parse(sdp).sections
    return next(s for s in sections if s.kind == "video" and s.direction.sends)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_browsers_camera_is_asked_for_lost_packets_on_its_own_stream(browser: str) -> None:
    outcome = answer(Answerer(LOCAL), read(f"{browser}-publishing.sdp"), [CAMERA])
    (camera,) = outcome.incoming_added
    assert camera.nack
    media = {spec.payload_type for spec in camera.formats}
    assert {original for _, original in camera.repair_formats} == media
    (mine,) = (s for s in parse(outcome.sdp).sections if s.mid == camera.mid)
    for number, original in camera.repair_formats:
        (entry,) = (f for f in mine.formats if f.payload_type == number)
        assert (entry.name, entry.clock_rate, entry.fmtp) == ("rtx", 90_000, f"apt={original}")
    if browser == "firefox":  # it announces its layers' streams, Chromium names them in packets
        assert len(camera.repair_streams) == 3
    else:
        assert camera.repair_streams == ()


def test_a_client_without_nack_is_not_asked() -> None:
    sdp = re.sub(r"a=rtcp-fb:\d+ nack\r\n", "", read("chromium-publishing.sdp"))
    (camera,) = answer(Answerer(LOCAL), sdp, [CAMERA]).incoming_added
    assert not camera.nack


def test_a_group_that_names_a_stream_twice_repairs_nothing() -> None:
    sdp = read("firefox-publishing.sdp")
    media, repair = re.findall(r"a=ssrc-group:FID (\d+) (\d+)", sdp)[0]
    forged = sdp.replace(f"FID {media} {repair}", f"FID {media} {media}")
    (camera,) = answer(Answerer(LOCAL), forged, [CAMERA]).incoming_added
    pairs = camera.repair_streams
    assert int(media) not in {ssrc for pair in pairs for ssrc in pair}
    assert len({ssrc for pair in pairs for ssrc in pair}) == 2 * len(pairs)


def test_one_payload_type_cannot_repair_two_others() -> None:
    sdp = read("chromium-publishing.sdp")
    head, mark, tail = sdp.rpartition("a=fmtp:97 apt=96\r\n")
    with pytest.raises(SdpError, match="two codecs"):
        answer(Answerer(LOCAL), f"{head}a=fmtp:97 apt=98\r\n{tail}" if mark else "")


@pytest.mark.parametrize("apt", ["", "apt=", "apt=-1", "apt=1e1", "apt=٣", "apt=" + "9" * 500])
def test_a_retransmission_format_that_repairs_nothing_is_left_out(apt: str) -> None:
    sdp = read("chromium-publishing.sdp").replace("a=fmtp:97 apt=96", f"a=fmtp:97 {apt}")
    (camera,) = answer(Answerer(LOCAL), sdp, [CAMERA]).incoming_added
    assert 97 not in {number for number, _ in camera.repair_formats}


@pytest.mark.parametrize("viewer", [False, True])
def test_what_we_send_is_repaired_on_a_stream_that_the_answer_groups(viewer: bool) -> None:
    engine = Viewer(LOCAL) if viewer else Answerer(LOCAL)
    engine.want(PICTURE)
    engine.want(SOUND)
    outcome = answer(engine, read("chromium-first.sdp"))
    picture = next(t for t in outcome.outgoing_added if t.kind == "video")
    assert (97, 96) in picture.repair_formats
    assert picture.repair_ssrc not in (None, picture.ssrc)
    mine = video_of(outcome.sdp)
    (group,) = mine.source_groups
    assert (group.semantics, group.ssrcs) == ("FID", (picture.ssrc, picture.repair_ssrc))
    named = {source.ssrc for source in mine.sources if source.attribute == "cname"}
    assert named == set(group.ssrcs)
    assert 97 in {entry.payload_type for entry in mine.formats}
    sound = next(t for t in outcome.outgoing_added if t.kind == "audio")
    assert (sound.repair_ssrc, sound.repair_formats) == (None, ())


def test_a_client_without_retransmission_streams_is_told_of_none() -> None:
    lines = read("chromium-first.sdp").split("\r\n")
    plain = "\r\n".join(line for line in lines if "rtx/" not in line and "apt=" not in line)
    engine = Answerer(LOCAL)
    engine.want(PICTURE)
    outcome = answer(engine, plain)
    (picture,) = outcome.outgoing_added
    assert picture.nack
    assert (picture.repair_ssrc, picture.repair_formats) == (None, ())
    assert video_of(outcome.sdp).source_groups == ()
    assert "rtx" not in outcome.sdp


def offered(offerer: Offerer) -> Description:
    ssrcs = itertools.count(1000)
    return parse(offerer.offer(lambda: next(ssrcs)))


def taken(section: Section, repairs: bool) -> Section:
    """The section as a client answers it."""
    formats = tuple(f for f in section.formats if repairs or f.name != "rtx")
    return replace(
        section,
        direction=section.direction.mirrored,
        formats=formats,
        ufrag="theirs",
        password="theirpasswordtheirpassword",
        setup="active",
        msids=(),
        sources=(),
        source_groups=(),
        candidates=(),
    )


@pytest.mark.parametrize("repairs", [True, False])
def test_our_own_offers_group_the_streams_and_use_them_where_the_client_does(repairs: bool) -> None:
    offerer = Offerer(LOCAL)
    offerer.want(PICTURE)
    offer = offered(offerer)
    (group,) = offer.sections[1].source_groups
    assert (group.semantics, group.ssrcs) == ("FID", (1000, 1001))
    sections = tuple(taken(section, repairs) for section in offer.sections)
    text = serialise(replace(offer, sections=sections, ice_lite=False))
    (picture,) = offerer.accept_answer(text).outgoing_added
    assert picture.nack
    if repairs:
        assert (picture.repair_ssrc, picture.repair_formats) == (1001, ((97, 96),))
    else:
        assert (picture.repair_ssrc, picture.repair_formats) == (None, ())
