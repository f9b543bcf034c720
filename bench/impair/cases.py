"""The cases: how bad the network of one person is, from when, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bench.link.conditions import PERFECT, Bursts, Conditions, Schedule

Role = Literal["publisher", "subscriber"]
ROLES: Final[tuple[Role, ...]] = ("subscriber", "publisher")
"""Who of the two has the bad network. The other's is clean."""
MBIT: Final = 1e6
SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Case:
    """A network in both directions alike, each with chances of its own."""

    name: str
    says: str
    schedule: Schedule
    seconds: float = SECONDS


def _steady(name: str, says: str, conditions: Conditions) -> Case:
    return Case(name, says, Schedule.always(conditions))


# A queue of 200 ms is what a home router has on a good day; more hides loss behind delay.
_WIDE, _NARROW = (Conditions(rate=rate, delay=0.02, queue=0.2) for rate in (2 * MBIT, 0.3 * MBIT))

CASES: Final = (
    _steady("clean", "nothing wrong", PERFECT),
    *(
        _steady(f"loss-{percent}", f"{percent} % lost", Conditions(loss=percent / 100, delay=0.02))
        for percent in (2, 5, 10, 20)
    ),
    _steady(
        "bursts",
        "5 % lost in bursts of 5",
        Conditions(bursts=Bursts(p=0.2 * 0.05 / 0.95, r=0.2), delay=0.02),
    ),
    *(
        _steady(f"delay-{ms}", f"{ms} ms each way", Conditions(delay=ms / 1000))
        for ms in (50, 150, 300)
    ),
    _steady(
        "jitter", "60 ms each way, deviation 20 ms, in order", Conditions(delay=0.06, jitter=0.02)
    ),
    _steady(
        "reorder",
        "2 % of packets held back 30 ms",
        Conditions(delay=0.02, reorder=0.02, reorder_by=0.03),
    ),
    Case(
        "cap",
        "2 Mbit/s, 300 kbit/s after 15 s, 2 Mbit/s again after 35 s",
        Schedule(((0, _WIDE), (15, _NARROW), (35, _WIDE))),
        seconds=57.0,
    ),
)

CAP_DOWN: Final = Case(
    "cap-down",
    "2 Mbit/s, 300 kbit/s after 4 s",
    Schedule(((0, _WIDE), (4, _NARROW))),
    seconds=17.0,
)
"""The first half of `cap` in short, for `make test`; no row of the results."""

VERSUS: Final = frozenset(
    {(name, "subscriber") for name in ("clean", "loss-5", "loss-10", "bursts", "delay-150", "cap")}
    | {(name, "publisher") for name in ("loss-10", "cap")}
)
"""What is played with other servers too: one case of each kind, within the time of a run."""


def chosen(names: str) -> tuple[Case, ...]:
    """Cases by their names, commas between; all for an empty string. Raises KeyError."""
    known = {case.name: case for case in CASES}
    return tuple(known[name.strip()] for name in names.split(",")) if names.strip() else CASES
