"""Both directions of a link and what they have carried, whatever they run over."""

from __future__ import annotations

import time
from dataclasses import asdict, fields
from typing import Any, Final, Literal, Protocol

from bench.link.conditions import Schedule
from bench.link.model import Pipe, Tally
from bench.link.pump import Pump

Direction = Literal["up", "down"]
"""`up` is from the clients, `down` towards them."""
DIRECTIONS: Final[tuple[Direction, ...]] = ("up", "down")
IP_UDP: Final = (
    28  # bytes of IPv4 and UDP headers, which a datagram has and its socket does not show
)


class Carrier(Protocol):
    """Ends of a link, wired to a pump."""

    def start(self, pump: Pump, directions: Directions) -> dict[str, Any]:
        """Wire everything; what whoever started the link must know."""

    def close(self) -> None:
        """Give sockets and devices back."""


class Directions:
    """Every pipe of a link, by direction; they follow one schedule each, from one moment."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._began = time.monotonic_ns()
        self._schedules: dict[Direction, Schedule] = dict.fromkeys(DIRECTIONS, Schedule())
        self._pipes: dict[Direction, list[Pipe]] = {"up": [], "down": []}

    def pipe(self, direction: Direction, flow: int) -> Pipe:
        """A new pipe for a flow, with chances of its own."""
        seed = f"{self._seed}/{flow}/{direction}"
        made = Pipe(seed, self._schedules[direction], self._began)
        self._pipes[direction].append(made)
        return made

    def begin(self, up: Schedule, down: Schedule) -> int:
        """Start schedules now; returns when that was, in monotonic nanoseconds."""
        self._began = time.monotonic_ns()
        self._schedules = {"up": up, "down": down}
        for direction in DIRECTIONS:
            for pipe in self._pipes[direction]:
                pipe.begin(self._began, self._schedules[direction])
        return self._began

    def told(self) -> dict[str, dict[str, int]]:
        """The tallies, summed over all flows."""
        names = [field.name for field in fields(Tally)]
        total: dict[str, dict[str, int]] = {}
        for direction in DIRECTIONS:
            each = [asdict(pipe.tally) for pipe in self._pipes[direction]]
            total[direction] = {name: sum(one[name] for one in each) for name in names}
        return total
