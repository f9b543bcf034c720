"""How servers bear load: each at half of a core, then ours step by step to the end of it.

Sockets are thinned for that: what such rates bring is more than clients on one core can look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
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


async def climb(stages: Mapping[str, Stage], plan: Plan, scenario: Scenario) -> Seen:
    """`cells` of all at half of a core, in turns, nobody at a higher rate than ours; `climb`, cells
    of ours at rising rates. Raises VenueError.
    """
    for stage in stages.values():
        stage.thin()
    rates = {name: await _half(stage, plan, scenario) for name, stage in stages.items()}
    rates = {name: min(rate, rates.get(OURS, rate)) for name, rate in rates.items()}
    cells = {name: _cell(scenario, name, rate) for name, rate in rates.items()}
    for _ in range(plan.repeats):
        for name, stage in stages.items():
            cells[name]["windows"].append(await window(stage, plan, _at(scenario, rates[name])))
            stage.check_alive()
    steps = []
    if OURS in stages:
        steps = await _steps(stages[OURS], plan, scenario, rates[OURS])
    return {"cells": list(cells.values()), "climb": steps}


async def _half(stage: Stage, plan: Plan, scenario: Scenario) -> float:
    """Packets per second of each publisher that take about half of the server's core."""
    short, rate = replace(plan, window=_SHORT), scenario.rate
    for _ in range(TRIES):
        seen = await window(stage, short, _at(scenario, rate))
        if _behind(seen, scenario, rate):
            return rate / _QUICKLY
        share = _share(seen)
        if abs(share - HALF) < NEAR:
            break
        rate *= min(HALF / max(share, 0.01), _QUICKLY)
    return rate


async def _steps(stage: Stage, plan: Plan, scenario: Scenario, rate: float) -> list[Seen]:
    cells: list[Seen] = []
    factor = _MOST
    while len(cells) < STEPS:
        rate *= factor
        seen = await window(stage, plan, _at(scenario, rate))
        cells.append({**_cell(scenario, OURS, rate), "windows": [seen]})
        stage.check_alive()
        share = _share(seen)
        if share >= FULL or _behind(seen, scenario, rate):
            break
        factor = min(_MOST, max(_LEAST, _AIM / share))
    return cells


def _share(seen: Seen) -> float:
    return float(seen["server_cpu"] / seen["seconds"])


def _behind(seen: Seen, scenario: Scenario, rate: float) -> bool:
    due = rate * scenario.gathering.publishers * seen["seconds"]
    return bool(seen["skipped"] or seen["sent"] < _BEHIND * due)


def _at(scenario: Scenario, rate: float) -> Scenario:
    return replace(scenario, rate=rate)


def _cell(scenario: Scenario, server: str, rate: float) -> Seen:
    return {"scenario": asdict(_at(scenario, rate)), "server": server, "windows": []}
