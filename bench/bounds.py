"""Whether what is asked of our own server alone holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.ladders import Ladder
from bench.scenarios import LISTENERS, OURS, PIPED, TWO_WORKERS, WORKERS, Scenario
from bench.summary import Load

DELAY: Final = 1000.0
"""Microseconds that the 99th percentile of the delay stays under at half of a core."""
END: Final = 0.9
"""Share of a core up to which nothing is lost."""
MORE: Final = 1.1
"""Times as much CPU per packet with two workers as with one, at most."""
FLAT: Final = 1.25
"""Times as much CPU per packet at most for ever more listeners at the same rate of packets out: by
so much windows of one cell differ."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Something that must not be more than `most`."""

    place: str
    what: str
    value: float | None  # None: not measured
    most: float
    why: str = ""  # what it was measured with, or why it was not
    doubted: bool = False  # whether one of its cells has doubts

    @property
    def met(self) -> bool | None:
        """None where it was not measured."""
        return None if self.value is None else self.value <= self.most

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        if self.value is None:
            return f"{self.place}: {self.what}: not measured{why}"
        doubted = ", with doubts" if self.doubted else ""
        said = f"{self.value:,.4g}, at most {self.most:,.4g}"
        return f"{self.place}: {self.what} {said}{why}: {'met' if self.met else 'not met'}{doubted}"


def bounds(loads: Sequence[Load], ladders: Sequence[Ladder]) -> list[Bound]:
    """Of all that was looked at."""
    plain = {
        (one.scenario, one.server): one
        for one in loads
        if one.profile == "gcm" and not one.feedback
    }
    found = [bound for ladder in ladders for bound in _of_ladder(ladder)]
    found += [bound for one in WORKERS if (bound := _of_workers(one, plain)) is not None]
    if (flat := _of_listeners(plain)) is not None:
        found.append(flat)
    return found


def _of_ladder(ladder: Ladder) -> list[Bound]:
    half = next((one for one in ladder.half if one.server == OURS), None)
    if half is None:
        return []
    at = f"{half.out_rate.median:,.0f}/s, {100 * half.server_cpu.median:.0f} % of a core"
    delay = Bound(
        ladder.scenario, "delay p99, µs", half.delay_p99, DELAY, at, doubted=bool(half.doubts)
    )
    busiest = max((one.server_cpu.median for one in ladder.steps), default=0.0)
    lost = sum(one.lost for one in (half, *ladder.steps))
    reached = f"up to {100 * busiest:.0f} % of a core"
    enough = busiest >= END or lost > 0
    doubted = any(one.doubts for one in ladder.steps)
    loss = Bound(
        ladder.scenario, "packets lost", float(lost) if enough else None, 0, reached, doubted
    )
    return [delay, loss]


def _of_workers(scenario: Scenario, cells: Mapping[tuple[str, str], Load]) -> Bound | None:
    two = next(
        (
            cells.get((scenario.name, name))
            for name in (TWO_WORKERS, PIPED)
            if (scenario.name, name) in cells
        ),
        None,
    )
    one = cells.get((scenario.name, OURS))
    if one is None or two is None:
        return None
    ratio = one.per_cpu_second.median / two.per_cpu_second.median
    return Bound(
        scenario.name,
        "times the CPU per packet of one worker:",
        ratio,
        MORE,
        doubted=bool(one.doubts or two.doubts),
    )


def _of_listeners(cells: Mapping[tuple[str, str], Load]) -> Bound | None:
    measured = [cells[one.name, OURS] for one in LISTENERS if (one.name, OURS) in cells]
    if len(measured) < 2:
        return None
    fewest = measured[0]
    ratios = {
        one.scenario: fewest.per_cpu_second.median / one.per_cpu_second.median for one in measured
    }
    worst = max(ratios, key=lambda name: ratios[name])
    return Bound(
        worst,
        f"times the CPU per packet of {fewest.scenario}:",
        ratios[worst],
        FLAT,
        doubted=any(one.doubts for one in measured),
    )
