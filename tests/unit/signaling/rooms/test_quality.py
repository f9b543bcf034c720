"""What a connection is called, and when that is news."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.domain.condition import Condition, ConnectionQuality
from signaling.rooms.quality import Qualities, judge, score

LOST, POOR, GOOD, EXCELLENT = ConnectionQuality
PERCENT = st.none() | st.integers(0, 100)


@pytest.mark.parametrize(
    ("condition", "quality"),
    [
        (Condition(), EXCELLENT),
        (Condition(loss_up=0, loss_down=0, round_trip=0.02), EXCELLENT),
        (Condition(loss_up=3), EXCELLENT),
        (Condition(loss_up=8), GOOD),
        (Condition(loss_down=8), GOOD),
        (Condition(loss_down=20), POOR),
        (Condition(round_trip=0.25), EXCELLENT),
        (Condition(round_trip=0.7), GOOD),
        (Condition(round_trip=2.0), POOR),
        (Condition(loss_down=3, round_trip=0.6), GOOD),
        (Condition(withheld=True), POOR),
        (Condition(silent=True), LOST),
        (Condition(withheld=True, silent=True), LOST),
    ],
)
def test_loss_delay_and_want_of_room_make_a_connection_worse(
    condition: Condition, quality: ConnectionQuality
) -> None:
    assert judge([condition]) is quality


def test_of_two_transports_the_worse_one_counts_and_none_is_excellent() -> None:
    assert judge([Condition(), Condition(loss_up=20)]) is POOR
    assert judge([]) is EXCELLENT


@given(PERCENT, PERCENT, st.none() | st.floats(0, 100))
def test_a_score_is_of_100_and_more_loss_never_makes_it_better(
    up: int | None, down: int | None, round_trip: float | None
) -> None:
    points = score(Condition(up, down, round_trip))
    assert 0.0 <= points <= 100.0
    assert score(Condition(100, down, round_trip)) <= points
    assert score(Condition(up, 100, round_trip)) <= points


def test_only_a_change_is_news() -> None:
    qualities = Qualities()
    assert qualities.take("PA_a", "single", Condition()) is EXCELLENT
    assert qualities.take("PA_a", "single", Condition(loss_up=1)) is None
    assert qualities.take("PA_b", "single", Condition(loss_up=20)) is POOR
    assert qualities.take("PA_a", "single", Condition(loss_up=8)) is GOOD
    assert qualities.known() == {"PA_a": GOOD, "PA_b": POOR}
    qualities.forget("PA_a")
    assert qualities.known() == {"PA_b": POOR}
    assert qualities.take("PA_a", "single", Condition(loss_up=8)) is GOOD


def test_a_transport_that_recovers_does_not_hide_another_that_does_not() -> None:
    qualities = Qualities()
    qualities.take("PA_a", "publisher", Condition(loss_up=20))
    qualities.take("PA_a", "subscriber", Condition(loss_down=20))
    assert qualities.take("PA_a", "publisher", Condition()) is None
    assert qualities.take("PA_a", "subscriber", Condition()) is EXCELLENT
