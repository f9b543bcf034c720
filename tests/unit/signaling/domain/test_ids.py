"""Identifiers have the form clients insist on."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from signaling.domain.ids import ENTROPY_BYTES, PARTICIPANT, make_sid, track_prefix


@given(st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES))
def test_a_sid_is_its_prefix_and_twelve_letters_or_digits(entropy: bytes) -> None:
    assert re.fullmatch(r"PA_[A-Za-z0-9]{12}", make_sid(PARTICIPANT, entropy))


def test_a_track_s_prefix_tells_kind_and_source() -> None:
    assert track_prefix("audio", "microphone") == "TR_AM"
    assert track_prefix("video", "camera") == "TR_VC"
    assert track_prefix("video", "screen_share") == "TR_VS"
    assert track_prefix("video", "unknown") == "TR_VU"
