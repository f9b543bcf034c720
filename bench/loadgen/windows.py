"""Looks at servers under load, in turns, and writes down what happened, unjudged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.loadgen.stage import Stage
from bench.process import core_time, cpu_nanoseconds
from bench.scenarios import Plan, Scenario

SETTLE: Final = 0.15  # seconds for the last packets to arrive
LAST_REPORTS: Final = 3.0  # seconds in which servers still report of what was sent before

Seen = dict[str, Any]


async def in_turns(
    stages: Mapping[str, Stage], plan: Plan, scenarios: Sequence[Scenario]
) -> list[Seen]:
    """Every cell once, then all again: what disturbs the machine for a while hits all alike.

    Within a scenario the servers follow each other, and another one begins each time. Raises
    VenueError.
    """
    cells: dict[tuple[str, str], Seen] = {
        (scenario.name, name): {"scenario": asdict(scenario), "server": name, "windows": []}
        for scenario in scenarios
        for name in stages
    }
    names = list(stages)
    for turn in range(plan.repeats):
        first = turn % len(names) if names else 0
        for scenario in scenarios:
            for name in names[first:] + names[:first]:
                stage = stages[name]
                seen = await window(stage, plan, scenario)
                cells[scenario.name, name]["windows"].append(seen)
                stage.check_alive()
    return list(cells.values())


async def window(stage: Stage, plan: Plan, scenario: Scenario) -> Seen:
    """One look at one server. Raises OSError when it is gone."""
    venue, driver, senders = stage.venue, stage.driver, stage.senders
    stage.set_pace(scenario)
    driver.drain()
    relay_before = await venue.counters()
    begin, sent_before, payload = stage.totals(), stage.sent(), stage.payload_bytes()
    await driver.run(senders, plan.warm_up)
    driver.drain()
    stage.flights.take()

    core, softirq = core_time(venue.core), stage.softirq_nanoseconds()
    out, sent = stage.totals()["out"], stage.sent()
    own, cpu, clock = time.process_time_ns(), cpu_nanoseconds(venue.pid), time.monotonic_ns()
    await driver.run(senders, plan.window)
    clock = time.monotonic_ns() - clock
    cpu = cpu_nanoseconds(venue.pid) - cpu
    own = time.process_time_ns() - own
    driver.drain()
    out, sent = stage.totals()["out"] - out, stage.sent() - sent
    core_after, softirq = core_time(venue.core), stage.softirq_nanoseconds() - softirq

    await asyncio.sleep(SETTLE)
    end, sent_all = stage.totals(), stage.sent() - sent_before
    relay = await venue.counters()
    changed = {name: end[name] - begin[name] for name in end}
    return {
        "seconds": clock / 1e9,
        "sent": sent,
        "out": out,
        "server_cpu": cpu / 1e9,
        "generator_cpu": own / 1e9,
        "softirq_cpu": softirq / 1e9,
        "core_busy": clock / 1e9 - (core_after.idle - core.idle),
        "core_stolen": core_after.stolen - core.stolen,
        "delays": stage.flights.take(),
        "skipped": sum(sender.pacer.skipped for sender in senders),
        "whole": {
            "expected": sent_all * scenario.gathering.reach,
            "payload_bytes": (stage.payload_bytes() - payload) / max(1, sent_all),
            **changed,
        },
        "relay": {name: relay[name] - relay_before.get(name, 0) for name in relay},
    }


async def idle(stage: Stage, silence: float) -> Seen:
    """The same people, and silence, once nothing is left to say of the noise before."""
    await asyncio.sleep(LAST_REPORTS)
    cpu, clock = cpu_nanoseconds(stage.venue.pid), time.monotonic_ns()
    await asyncio.sleep(silence)
    return {
        "seconds": (time.monotonic_ns() - clock) / 1e9,
        "server_cpu": (cpu_nanoseconds(stage.venue.pid) - cpu) / 1e9,
    }
