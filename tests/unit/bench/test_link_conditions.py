"""Conditions that no link can have are refused as they are made, and JSON carries the others."""

from __future__ import annotations

from typing import Any

import pytest

from bench.link.conditions import PERFECT, Bursts, Conditions, Schedule, WrongConditions


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"loss": 2}, "loss is 2, not a chance"),
        ({"delay": 150}, "delay is 150 s"),
        ({"rate": 300}, "rate is 300 bit/s"),
        ({"rate": 1e6, "queue_bytes": 0}, "a queue holds something"),
        ({"delay": 0.01, "jitter": 0.01}, "nothing arrives before it is sent"),
        ({"bursts": {"p": 0, "r": 0}}, "never moves"),
        ({"lossy": 0.1}, "there are: loss, bursts, delay"),
    ],
)
def test_what_no_link_can_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(WrongConditions, match=says):
        Conditions.read(given)


@pytest.mark.parametrize("times", [[], [1.0], [0.0, 5.0, 5.0]])
def test_a_schedule_begins_at_once_and_its_times_increase(times: list[float]) -> None:
    with pytest.raises(WrongConditions):
        Schedule(tuple((at, PERFECT) for at in times))


def test_a_schedule_is_the_same_after_json() -> None:
    burst = Conditions(
        loss=0.01, bursts=Bursts(0.01, 0.2, loss_bad=0.8), rate=3e5, queue_bytes=9000
    )
    schedule = Schedule(((0, PERFECT), (20, burst)))
    assert Schedule.read(schedule.written()) == schedule
    assert schedule.written()[0] == [0, {}]


def test_loss_alone_and_in_bursts_add_up() -> None:
    assert Conditions(loss=0.1, bursts=Bursts(0.1, 0.4)).lost == pytest.approx(0.28)
