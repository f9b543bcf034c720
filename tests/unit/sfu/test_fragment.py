"""ICE fragments (RFC 8840): whose credentials they name, and ours written."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.errors import SdpError
from sfu.sdp import Candidate, Credentials, read_fragment, write_fragment
from sfu.sdp.fragment import MAX_FRAGMENT, MAX_FRAGMENT_LINES

PAIR = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
SECTION = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
CANDIDATE = "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r\n"
THEIRS = Credentials("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")


@pytest.mark.parametrize(
    "text",
    [
        PAIR + SECTION + CANDIDATE,
        "a=group:BUNDLE 0 1\r\n" + SECTION + PAIR + CANDIDATE + "a=end-of-candidates\r\n",
        PAIR + SECTION + PAIR,
        (PAIR + SECTION + CANDIDATE).replace("\r\n", "\n"),
        PAIR + "a=something-new:1\r\n",
    ],
    ids=["session", "section", "both alike", "bare line ends", "unknown"],
)
def test_credentials_are_found_wherever_they_stand(text: str) -> None:
    assert read_fragment(text) == THEIRS


def test_candidates_alone_name_nobody() -> None:
    assert read_fragment(SECTION + CANDIDATE) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n",
        "not a line\r\n",
        "a=ice-ufrag:EsAw\r\n",
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
        PAIR.replace("EsAw", "x"),
        PAIR.replace("P2uYro", "short "),
        PAIR + SECTION + PAIR.replace("EsAw", "Other"),
        "m=audio\r\n" + PAIR,
        PAIR + "a=x\r\n" * MAX_FRAGMENT_LINES,
        PAIR + "a=" + "x" * MAX_FRAGMENT,
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(SdpError) as refusal:
        read_fragment(text)
    assert refusal.value.code == "fragment_malformed"


@given(st.text(alphabet="am=:-icepwdufrag\r\n 01", max_size=200))
def test_nothing_else_is_ever_raised(text: str) -> None:
    with contextlib.suppress(SdpError):
        read_fragment(text)


def test_ours_reads_back_and_ends_its_candidates() -> None:
    head = ("a=group:BUNDLE 0 1", "m=audio 7882 UDP/TLS/RTP/SAVPF 111", "a=mid:0")
    text = write_fragment(head, THEIRS, [Candidate("192.0.2.1", 7882)])
    assert read_fragment(text) == THEIRS
    assert text.startswith("a=ice-lite\r\n")
    assert "a=candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host\r\n" in text
    assert text.endswith("a=end-of-candidates\r\n")


def test_a_password_is_not_printed() -> None:
    assert THEIRS.password not in repr(THEIRS)
