"""How servers bear load: each at half of a core, then ours step by step to the end of it.

Sockets are thinned for that: what such rates bring is more than clients on one core can look at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bench.loadgen.stage import Stage
from bench.loadgen.windows import window
from bench.scenarios import OURS, STEPS, TRIES, Plan, Scenario

HALF: Final = 0.5
"""Share of a core."""
NEAR: Final = 0.03
FULL: Final = 0.9
_AIM: Final = 0.93  # of a step, where the one before was near: costs per packet fall with the rate
_LEAST, _MOST = 1.03, 1.25  # times the rate of the step before
_SHORT: Final = 0.5  # seconds of a window that only looks for the rate
_QUICKLY: Final = 1.7  # times the rate at most from one such window to the next
_BEHIND: Final = 0.97  # of the packets that were due: less, and the generator sets the rate

Seen = dict[str, Any]


Look = Callable[[Stage, Plan, Scenario], Awaitable[Seen]]
"""One window of one server, as `window` has it."""


async def climb(
    stages: Mapping[str, Stage], plan: Plan, scenario: Scenario, look: Look = window
) -> Seen:
    """`cells` of all at half of a core, in turns, nobody at a higher rate than ours; `climb`, cells
    of ours at rising rates. Raises VenueError.
    """
    for stage in stages.values():
        stage.thin()
    climber = _Climber(plan, scenario, look)
    rates = {name: await climber.half(stage) for name, stage in stages.items()}
    rates = {name: min(rate, rates.get(OURS, rate)) for name, rate in rates.items()}
    cells = {name: _cell(scenario, name, rate) for name, rate in rates.items()}
    for _ in range(plan.repeats):
        for name, stage in stages.items():
            cells[name]["windows"].append(await climber.look(stage, rates[name]))
            stage.check_alive()
    steps = []
    if OURS in stages:
        steps = await climber.steps(stages[OURS], rates[OURS])
    return {"cells": list(cells.values()), "climb": steps}


@dataclass(frozen=True, slots=True)
class _Climber:
    plan: Plan
    scenario: Scenario
    window: Look

    async def look(self, stage: Stage, rate: float, *, short: bool = False) -> Seen:
        plan = replace(self.plan, window=_SHORT) if short else self.plan
        return await self.window(stage, plan, _at(self.scenario, rate))

    async def half(self, stage: Stage) -> float:
        """Packets per second of each publisher that take about half of the server's core."""
        rate = self.scenario.rate
        for _ in range(TRIES):
            seen = await self.look(stage, rate, short=True)
            if self._behind(seen, rate):
                return rate / _QUICKLY
            share = _share(seen)
            if abs(share - HALF) < NEAR:
                break
            rate *= min(HALF / max(share, 0.01), _QUICKLY)
        return rate

    async def steps(self, stage: Stage, rate: float) -> list[Seen]:
        """From above this rate to the end of the core, or of what the generator can send."""
        cells: list[Seen] = []
        factor = _MOST
        while len(cells) < STEPS:
            rate *= factor
            seen = await self.look(stage, rate)
            cells.append({**_cell(self.scenario, OURS, rate), "windows": [seen]})
            stage.check_alive()
            share = _share(seen)
            if share >= FULL or self._behind(seen, rate):
                break
            factor = min(_MOST, max(_LEAST, _AIM / share))
        return cells

    def _behind(self, seen: Seen, rate: float) -> bool:
        due = rate * self.scenario.gathering.publishers * seen["seconds"]
        return bool(seen["skipped"] or seen["sent"] < _BEHIND * due)


def _share(seen: Seen) -> float:
    return float(seen["server_cpu"] / seen["seconds"])


def _at(scenario: Scenario, rate: float) -> Scenario:
    return replace(scenario, rate=rate)


def _cell(scenario: Scenario, server: str, rate: float) -> Seen:
    return {"scenario": asdict(_at(scenario, rate)), "server": server, "windows": []}
