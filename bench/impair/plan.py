"""What a run plays, in which order, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.impair import bystander, screen
from bench.impair.cases import CASES, ROLES, VERSUS, Case, Role
from bench.impair.play import PICTURE_PATIENCE, SETTLE
from bench.impair.venues import SERVERS, Server

Kind = Literal["cases", "share", "bystander"]
START: Final = 12.0  # seconds, as a rule, for a server and two browsers
START_PATIENCE: Final = 150.0  # at most, on a busy machine
BETWEEN: Final = SETTLE + 4.0  # seconds between two cases, as a rule


@dataclass(frozen=True, slots=True)
class Act:
    """What is played in one call: cases, or something of its own."""

    kind: Kind
    server: Server
    role: Role = "subscriber"
    cases: tuple[Case, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it takes as a rule."""
        if self.kind == "cases":
            return START + sum(case.seconds + BETWEEN for case in self.cases)
        return START + (screen.SECONDS if self.kind == "share" else START + bystander.SECONDS)

    @property
    def patience(self) -> float:
        """After how long it has failed."""
        if self.kind == "cases":
            return START_PATIENCE + patience(self.cases)
        return START_PATIENCE + 2 * self.seconds

    def __str__(self) -> str:
        names = {
            "cases": f"{len(self.cases)} cases, the {self.role} behind the bad link",
            "share": "a shared screen",
            "bystander": "a bad subscriber and a clean one",
        }
        return f"{self.server}: {names[self.kind]}"


def acts(
    cases: Sequence[Case] = CASES,
    roles: Sequence[Role] = ROLES,
    servers: Sequence[Server] = SERVERS,
    kinds: Sequence[Kind] = ("cases", "share", "bystander"),
) -> tuple[Act, ...]:
    """Ours before Janus' of the same kind: what makes the machine slower for a while hits both.

    Of the cases only those of VERSUS are played with other servers.
    """
    found = []
    if "cases" in kinds:
        for role in roles:
            for server in servers:
                played = tuple(
                    case for case in cases if server == "conclave" or (case.name, role) in VERSUS
                )
                found.append(Act("cases", server, role, played))
    if "share" in kinds:
        found += [Act("share", server) for server in servers]
    if "bystander" in kinds:
        found += [Act("bystander", server) for server in servers]
    return tuple(act for act in found if act.kind != "cases" or act.cases)


def seconds(planned: Sequence[Act]) -> float:
    """How long all of them take as a rule."""
    return sum(act.seconds for act in planned)


def patience(cases: Sequence[Case]) -> float:
    """After how long these cases have failed, in a call that runs."""
    return sum(2 * case.seconds + PICTURE_PATIENCE + 10 for case in cases)
