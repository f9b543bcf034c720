"""What is asked of our own server alone is met, not met or not measured, never just assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.bounds import Bound, bounds
from bench.ladders import Ladder
from bench.summary import Load, Spread
from tests.unit.bench.loads import cell


def test_delay_at_half_of_a_core_is_held_against_its_bound() -> None:
    assert of_ladder([at(0.5, delay=900)])[0].met is True
    assert of_ladder([at(0.5, delay=1100)])[0].met is False
    assert of_ladder([at(0.5, delay=None)])[0].met is None


def test_losing_nothing_counts_only_at_the_end_of_a_core() -> None:
    assert of_ladder([at(0.5)], [at(0.7), at(0.91)])[1].met is True
    early = of_ladder([at(0.5)], [at(0.7), at(0.85)])[1]
    assert early.met is None
    assert str(early) == "load-video: packets lost: not measured (up to 85 % of a core)"


def test_a_packet_lost_on_the_way_there_is_a_loss() -> None:
    assert of_ladder([at(0.5)], [at(0.7, lost=1)])[1].met is False
    assert of_ladder([at(0.5, lost=3)], [at(0.91)])[1].value == 3


def test_the_others_delay_is_not_ours() -> None:
    assert bounds([], [Ladder("load-video", "", [replace(at(0.5), server="bare")], [])]) == []


def test_two_workers_are_held_against_one_at_the_same_rate() -> None:
    pipe = [
        cell("conclave", 300_000, "workers-pipe"),
        cell("conclave-pipe", 250_000, "workers-pipe"),
    ]
    (bound,) = bounds(pipe, [])
    assert (bound.value, bound.met) == (1.2, False)
    assert str(bound).startswith(
        "workers-pipe: times the CPU per packet of one worker: 1.2, at most"
    )
    assert bounds(pipe[:1], []) == []


def test_listeners_bend_where_a_packet_is_dearest() -> None:
    loads = [
        cell("conclave", 500_000, "listeners-10"),
        cell("conclave", 250_000, "listeners-100"),
        cell("conclave", 400_000, "listeners-1000"),
    ]
    (bound,) = bounds(loads, [])
    assert (bound.place, bound.value, bound.met) == ("listeners-100", 2.0, False)


def of_ladder(half: Sequence[Load], steps: Sequence[Load] = ()) -> list[Bound]:
    return bounds([], [Ladder("load-video", "", half, steps)])


def at(share: float, *, delay: float | None = 500, lost: int = 0) -> Load:
    busy = Spread(share, share, share)
    return replace(cell("conclave", 1), server_cpu=busy, delay_p99=delay, lost=lost)
