"""Packets are counted once each, however they come."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.loadgen.counting import Distinct


def test_a_packet_that_comes_twice_counts_once() -> None:
    stream = Distinct()
    assert [stream.add(number) for number in (7, 8, 8, 7, 9)] == [True, True, False, False, True]
    assert (stream.count, stream.duplicates, stream.gaps) == (3, 2, 0)


def test_a_gap_is_seen_until_the_late_packet_fills_it() -> None:
    stream = Distinct()
    for number in (1, 2, 5, 4):
        stream.add(number)
    assert stream.gaps == 1
    stream.add(3)
    assert stream.gaps == 0


def test_a_packet_older_than_the_first_widens_the_range() -> None:
    stream = Distinct()
    for number in (100, 101, 99):
        assert stream.add(number)
    assert (stream.first, stream.count, stream.gaps) == (99, 3, 0)


def test_numbers_that_wrap_many_times_are_all_new() -> None:
    stream = Distinct()
    for number in range(65_000, 65_000 + 200_000):
        assert stream.add(number & 0xFFFF)
    assert (stream.count, stream.duplicates, stream.gaps) == (200_000, 0, 0)


def test_a_jump_over_the_wrap_forgets_the_numbers_of_the_last_cycle() -> None:
    stream = Distinct()
    for number in range(65_536):
        stream.add(number)
    assert stream.add(20)  # 21 numbers ahead: 0 to 19 of the new cycle are missing
    assert stream.gaps == 20
    assert stream.add(5)
    assert stream.gaps == 19


@settings(deadline=None)
@given(st.integers(0, 0xFFFF), st.integers(0, 2**32))
def test_loss_duplication_and_reordering_are_counted_as_a_set_would(start: int, seed: int) -> None:
    chance = random.Random(seed)
    sent = range(start, start + 3_000)
    arriving = [number for number in sent for _ in range(chance.choice((0, 1, 1, 1, 2)))]
    arriving.sort(key=lambda number: number + chance.randrange(40))
    stream = Distinct()
    for number in arriving:
        stream.add(number & 0xFFFF)
    distinct = set(arriving)
    assert stream.count == len(distinct)
    assert stream.duplicates == len(arriving) - len(distinct)
    assert stream.gaps == max(distinct) - min(distinct) + 1 - len(distinct)
