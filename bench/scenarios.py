"""What is measured: the scenarios, and how long each is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bench.loadgen.media import AUDIO_PACKET_RATE
from bench.loadgen.pacing import FRAME

Pattern = Literal["even", "frames", "voice"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One load: how a publisher's packets come, and how many each second."""

    pattern: Pattern
    rate: float

    @property
    def burst(self) -> int:
        """Packets that leave at once."""
        return FRAME if self.pattern == "frames" else 1


@dataclass(frozen=True, slots=True)
class FanOut:
    """One video publisher, many subscribers."""

    name: str
    subscribers: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Voices:
    """Everybody speaks and hears everybody else."""

    name: str
    people: int
    cells: tuple[Cell, ...] = (Cell("voice", AUDIO_PACKET_RATE),)


@dataclass(frozen=True, slots=True)
class Joins:
    """People join rooms in which one person speaks, at a steady pace."""

    name: str
    rooms: int
    joins: int
    pace: float  # joins per second


Scenario = FanOut | Voices | Joins


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to look, in seconds."""

    scenarios: tuple[Scenario, ...]
    warm_up: float
    window: float
    repeats: int
    silence: float  # long enough for every client to ping once; 0 leaves it out


def _video(*rates: float) -> tuple[Cell, ...]:
    return tuple(Cell(pattern, rate) for pattern in _PATTERNS for rate in rates)


_PATTERNS: Final[tuple[Pattern, Pattern]] = ("even", "frames")

FULL: Final = Plan(
    scenarios=(
        FanOut("fanout-10", 10, _video(250, 1000, 2500)),
        FanOut("fanout-50", 50, _video(250, 500, 1000)),
        Voices("voice-20", 20),
        Joins("joins", rooms=5, joins=100, pace=10),
    ),
    warm_up=0.5,
    window=2.5,
    repeats=5,
    silence=6.0,
)
QUICK: Final = Plan(
    scenarios=(
        FanOut("fanout-10", 10, _video(1000)),
        FanOut("fanout-50", 50, _video(500)),
        Voices("voice-20", 20),
        Joins("joins", rooms=2, joins=20, pace=10),
    ),
    warm_up=0.3,
    window=1.0,
    repeats=3,
    silence=0,
)


def scenario(plan: Plan, name: str) -> Scenario:
    """The scenario of that name. Raises ValueError naming the ones there are."""
    found = next((one for one in plan.scenarios if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in plan.scenarios)
        raise ValueError(f"no scenario {name!r}; there are: {names}")
    return found
