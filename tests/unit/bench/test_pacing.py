"""Packets are due on an exact grid, and a stall is not answered with a flood."""

from __future__ import annotations

import pytest

from bench.loadgen.pacing import Pacer

MS = 1_000_000
SECOND = 1_000 * MS


def test_even_packets_are_due_one_by_one() -> None:
    pacer = Pacer(rate=1000)
    taken = [pacer.take(now * MS // 4) for now in range(8)]
    assert taken == [1, 0, 0, 0, 1, 0, 0, 0]


def test_a_frame_is_due_at_once_and_at_the_same_average_rate() -> None:
    pacer = Pacer(rate=240, burst=8)
    taken = [(now, count) for now in range(1000) if (count := pacer.take(now * MS))]
    assert all(count == 8 for _, count in taken)
    assert sum(count for _, count in taken) == 240
    assert taken[1][0] - taken[0][0] == 34  # 33.3 ms, seen on a grid of 1 ms


def test_nothing_is_due_before_the_start() -> None:
    pacer = Pacer(rate=50, start=5 * MS)
    assert pacer.take(5 * MS - 1) == 0
    assert pacer.take(5 * MS) == 1


def test_a_short_delay_is_made_up_for() -> None:
    pacer = Pacer(rate=1000)
    pacer.take(0)
    assert pacer.take(50 * MS) == 50


def test_a_long_stall_is_admitted_instead() -> None:
    pacer = Pacer(rate=1000)
    pacer.take(0)
    sent = pacer.take(SECOND)
    assert sent <= 101
    assert sent + pacer.skipped == 1000


def test_rounding_never_adds_up() -> None:
    pacer = Pacer(rate=333)
    assert sum(pacer.take(now * MS) for now in range(100_001)) == pytest.approx(33_300, abs=1)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (10, 0)])
def test_a_pace_that_means_nothing_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Pacer(rate=rate, burst=burst)
