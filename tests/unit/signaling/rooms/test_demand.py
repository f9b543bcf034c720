"""What publishers are told of the demand for their tracks, and when."""

from __future__ import annotations

import random

from signaling.domain.viewing import Quality
from signaling.rooms.demand import FIRST_PATIENCE, PATIENCE, Demand

OFF, LOW, MEDIUM, HIGH = Quality


def test_a_track_that_nobody_wants_is_off_after_a_while() -> None:
    demand = Demand(0.0)
    assert demand.due(FIRST_PATIENCE - 0.1) is None
    assert demand.deadline() == FIRST_PATIENCE
    assert demand.due(FIRST_PATIENCE) is OFF
    assert demand.due(1e6) is None
    assert demand.deadline() is None


def test_more_is_told_at_once() -> None:
    demand = Demand(0.0)
    demand.want("bob", LOW, 1.0)
    assert demand.due(1.0) is LOW
    demand.want("eve", HIGH, 1.1)
    assert demand.due(1.1) is HIGH
    demand.want("bob", MEDIUM, 1.2)
    assert demand.due(1.2) is None


def test_less_is_told_once_it_has_been_wanted_for_a_while() -> None:
    demand = Demand(0.0)
    demand.want("bob", HIGH, 0.0)
    assert demand.due(0.0) is HIGH
    demand.want("bob", MEDIUM, 10.0)
    demand.want("bob", LOW, 13.0)
    assert demand.due(10.0 + PATIENCE - 0.1) is None
    assert demand.due(10.0 + PATIENCE) is LOW
    demand.want("bob", OFF, 20.0)
    assert demand.due(20.0 + PATIENCE) is OFF
    demand.want("bob", LOW, 30.0)
    assert demand.due(30.0) is LOW


def test_who_changes_its_mind_twice_disturbs_nobody() -> None:
    demand = Demand(0.0)
    demand.want("bob", HIGH, 0.0)
    demand.due(0.0)
    demand.want("bob", LOW, 1.0)
    demand.want("bob", HIGH, 2.0)
    assert demand.deadline() is None
    assert demand.due(100.0) is None


def test_a_viewer_that_flickers_costs_the_publisher_nothing() -> None:
    chance = random.Random(4)
    demand, told, now = Demand(0.0), [], 0.0
    for _ in range(10_000):
        now += chance.uniform(0.0, 0.9)
        demand.want("bob", chance.choice([OFF, LOW, MEDIUM, HIGH, HIGH]), now)
        told.append(demand.due(now))
    changes = [each for each in told if each is not None]
    # Each layer on its way up, then hardly anything: less than 5 seconds pass between two HIGHs.
    assert changes[-1] is HIGH or len(changes) < 40
    assert len(changes) < 40, len(changes)


def test_the_publisher_is_told_again_when_it_begins_anew_if_it_was_told_before() -> None:
    demand = Demand(0.0)
    demand.repeat()
    assert demand.due(0.0) is None
    demand.want("bob", MEDIUM, 0.0)
    assert demand.due(0.0) is MEDIUM
    demand.repeat()
    assert demand.due(0.0) is MEDIUM
    assert demand.due(0.0) is None
