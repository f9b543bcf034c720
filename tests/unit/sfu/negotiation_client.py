"""A client's offers, real and made up, and an answerer to take them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

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
from sfu.sdp import Description, Section, parse

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


def edit(old: str, new: str) -> Callable[[str], str]:
    return lambda sdp: re.sub(old, new, sdp)


def inactive(sdp: str, mid: str) -> str:
    """The offer with one of its sending sections stopped."""
    head, mark, tail = sdp.partition(f"a=mid:{mid}\r\n")
    return head + mark + tail.replace("a=sendonly", "a=inactive", 1)


CHROMIUM = read("chromium-publishing.sdp")
FIREFOX = read("firefox-publishing.sdp")
MIC = Announced("TR_mic", cid(CHROMIUM, "7"), "audio")
CAMERA = Announced("TR_cam", cid(CHROMIUM, "8"), "video")
SCREEN = Announced("TR_screen", cid(CHROMIUM, "9"), "video")
FIRST = read("chromium-first.sdp")
