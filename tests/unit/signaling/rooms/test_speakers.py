"""Statements about speakers: complete, finite, and only when something changed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.rooms.speakers import Speaker, Speakers


def test_each_statement_lists_everybody_who_speaks() -> None:
    speakers = Speakers()
    assert speakers.hear([("PA_a", "TR_a", 0.5)]) == (Speaker("PA_a", 0.5, True),)
    assert speakers.hear([("PA_b", "TR_b", 1.0)]) == (
        Speaker("PA_b", 1.0, True),
        Speaker("PA_a", 0.5, True),
    )


def test_who_stopped_is_said_once() -> None:
    speakers = Speakers()
    speakers.hear([("PA_a", "TR_a", 0.5), ("PA_b", "TR_b", 0.5)])
    assert speakers.hear([("PA_a", "TR_a", 0.0)]) == (
        Speaker("PA_b", 0.5, True),
        Speaker("PA_a", 0.0, False),
    )
    assert speakers.hear([("PA_a", "TR_a", 0.0)]) == ()


def test_a_breath_is_no_news() -> None:
    speakers = Speakers()
    speakers.hear([("PA_a", "TR_a", 0.51)])
    assert speakers.hear([("PA_a", "TR_a", 0.6)]) == ()


def test_the_loudest_of_one_s_tracks_counts() -> None:
    speakers = Speakers()
    heard = speakers.hear([("PA_a", "TR_mic", 0.25), ("PA_a", "TR_screen", 0.75)])
    assert heard == (Speaker("PA_a", 0.75, True),)


def test_muting_silences_at_once() -> None:
    speakers = Speakers()
    speakers.hear([("PA_a", "TR_a", 0.5)])
    assert speakers.forget_track("PA_a", "TR_a") == (Speaker("PA_a", 0.0, False),)


@pytest.mark.parametrize("level", [math.nan, math.inf, -math.inf, -1.0])
def test_nonsense_is_silence(level: float) -> None:
    assert Speakers().hear([("PA_a", "TR_a", level)]) == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats())))
def test_no_level_is_ever_other_than_an_eighth(levels: list[tuple[str, float]]) -> None:
    speakers = Speakers()
    for who, level in levels:
        for speaker in speakers.hear([(who, who, level)]):
            assert 0.0 <= speaker.level <= 1.0
            assert speaker.level * 8 == int(speaker.level * 8)
