"""What one run is made of: parts, each a fresh set of servers, a fresh generator and one crowd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.scenarios import (
    STEPS,
    TRIES,
    Calls,
    Gathering,
    Plan,
    Scenario,
    together,
)

START: Final = 4.0
"""Seconds as a rule until servers and generator run."""
JOIN: Final = 0.02
"""Seconds as a rule for one person to join one server."""
TOLD: Final = 60e-6
"""Seconds as a rule until one person is told of another who came."""
BETWEEN: Final = 0.3
"""Seconds between two windows: late packets, counters."""
HALVES: Final = 3
"""Windows at half of a core."""
IDLE_CROWD: Final = 100
"""People who are looked at in silence too, if so many are there."""


@dataclass(frozen=True, slots=True)
class Part:
    """Scenarios that share their people, one SRTP profile, one way to receive."""

    scenarios: tuple[Scenario, ...]
    profile: str
    tells: bool  # receivers give feedback and ask for lost packets

    @property
    def gathering(self) -> Gathering:
        return self.scenarios[0].gathering

    @property
    def servers(self) -> tuple[str, ...]:
        """The only ones that are looked at; none where all are."""
        return self.scenarios[0].servers

    @property
    def climbs(self) -> bool:
        """Whether servers are loaded by how busy they are, not by a rate."""
        return self.scenarios[0].climbs

    @property
    def names(self) -> str:
        """As progress is told."""
        way = "feedback" if self.tells else "plain"
        return f"{', '.join(one.name for one in self.scenarios)} · {self.profile} · {way}"

    def plan(self, whole: Plan) -> Plan:
        """This part's share: only the crowd that idleness is told of is looked at in silence, and
        servers under load in fewer windows, since they are looked at at many rates.
        """
        if self.climbs:
            return replace(whole, silence=0, repeats=min(whole.repeats, HALVES))
        gathering = self.gathering
        crowd = isinstance(gathering, Calls) and gathering.publishers == IDLE_CROWD
        looks = crowd and self.profile == "gcm" and not self.tells
        return whole if looks else replace(whole, silence=0)

    def seconds(self, plan: Plan, servers: int) -> float:
        """How long this takes as a rule."""
        gathering, plan = self.gathering, self.plan(plan)
        people = gathering.present
        window = plan.warm_up + plan.window + BETWEEN
        servers = len(self.servers) or servers
        looking = window * plan.repeats * len(self.scenarios) * servers
        if self.climbs:
            looking += window * (servers * TRIES / 2 + STEPS)
        joining = people * JOIN + people * people / gathering.rooms * TOLD
        return START + servers * joining + looking + plan.silence


def parts(chosen: Sequence[Scenario], profiles: Sequence[str], ways: Sequence[bool]) -> list[Part]:
    """All of them, the plain ones of the first profile first; what is done once, with that profile,
    comes last.
    """
    compared = [one for one in chosen if not one.once]
    once = [one for one in chosen if one.once]
    return [
        Part(tuple(crowd), profile, tells)
        for tells in ways
        for profile in profiles
        for crowd in together(compared)
    ] + [Part(tuple(crowd), profiles[0], False) for crowd in together(once)]
