"""Half of a core is found, nobody is asked for more than ours, and the climb ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bench.loadgen.climbing import climb
from bench.loadgen.stage import Stage
from bench.scenarios import FULL, LADDERS, STEPS, Plan, Scenario

LOAD = LADDERS[0]


@dataclass
class Server:
    """One whose core is full at so many packets out per second, and whose clients send that many
    at most.
    """

    capacity: float
    clients: float = float("inf")
    thinned: bool = False
    asked: list[float] = field(default_factory=list)

    def thin(self) -> None:
        self.thinned = True

    def check_alive(self) -> None:
        pass

    def window(self, plan: Plan, scenario: Scenario) -> dict[str, Any]:
        out = min(scenario.out_rate, self.clients)
        self.asked.append(scenario.out_rate)
        return {
            "seconds": plan.window,
            "server_cpu": plan.window * min(1.0, out / self.capacity),
            "sent": plan.window * out / scenario.gathering.reach,
            "skipped": 0,
        }


async def look(stage: Stage, plan: Plan, scenario: Scenario) -> dict[str, Any]:
    return cast(Server, stage).window(plan, scenario)


def climbed(**servers: Server) -> dict[str, Any]:
    stages = cast(dict[str, Stage], servers)
    return asyncio.run(climb(stages, FULL, LOAD, look))


def rate_of(cell: dict[str, Any]) -> float:
    scenario = cell["scenario"]
    gathering = scenario["gathering"]
    return float(scenario["rate"] * gathering["listeners"] * gathering["rooms"])


@pytest.mark.parametrize("capacity", [80_000, 300_000, 600_000])
def test_half_of_a_core_is_found(capacity: float) -> None:
    ours = Server(capacity)
    (half,) = climbed(conclave=ours)["cells"]
    assert rate_of(half) == pytest.approx(capacity / 2, rel=0.1)
    assert len(half["windows"]) == FULL.repeats
    assert ours.thinned


def test_a_server_that_can_do_more_is_looked_at_at_our_rate_and_one_that_cannot_at_its_own() -> (
    None
):
    seen = climbed(conclave=Server(300_000), bare=Server(600_000), janus=Server(100_000))
    ours, bare, janus = (rate_of(cell) for cell in seen["cells"])
    assert bare == ours == pytest.approx(150_000, rel=0.1)
    assert janus == pytest.approx(50_000, rel=0.1)


def test_the_climb_ends_beyond_nine_tenths_of_our_core() -> None:
    steps = climbed(conclave=Server(300_000), janus=Server(100_000))["climb"]
    assert 0 < len(steps) < STEPS
    rates = [rate_of(cell) for cell in steps]
    assert rates == sorted(rates)
    assert rates[-2] < 270_000 <= rates[-1] < 300_000


def test_where_clients_cannot_send_more_the_climb_ends_with_what_they_did() -> None:
    steps = climbed(conclave=Server(1_000_000, clients=600_000))["climb"]
    assert len(steps) < STEPS
    assert steps[-1]["windows"][0]["server_cpu"] / FULL.window == pytest.approx(0.6)


def test_half_of_a_core_that_clients_cannot_fill_is_not_asked_for() -> None:
    ours = Server(1_000_000, clients=300_000)
    (half,) = climbed(conclave=ours)["cells"]
    assert rate_of(half) <= 300_000


def test_others_are_not_driven_to_their_end() -> None:
    assert climbed(bare=Server(600_000))["climb"] == []
