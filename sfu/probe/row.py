"""One thing tried on a server: what it is, what must come of it, and what did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sfu.probe.policy import Policy

if TYPE_CHECKING:
    from sfu.probe.lab import Lab

Result = Literal["pass", "fail", "untested"]

# The words most rows are judged by. A row may use others (a group's name, "forwarded").
ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"


class Untested(Exception):
    """The row says nothing about this server; the text says why, in one sentence."""


class Blocked(Untested):
    """Untested for no fault of the row's: the target was out of reach, or time ran out."""


class Overdue(Blocked):
    """The row did not end in its time; it is run once more."""


class Postponed(Blocked):
    """The target wants to be asked again in so many seconds."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Expected:
    """What must happen under a policy."""

    outcomes: frozenset[str]
    sentence: str

    @classmethod
    def one(cls, *outcomes: str, sentence: str = "") -> Expected:
        """Any of these outcomes; the sentence is made of them unless given."""
        return cls(frozenset(outcomes), sentence or " or ".join(outcomes))


@dataclass(frozen=True, slots=True)
class Observation:
    """What happened: a word that can be compared, and what a person wants to know beside it."""

    outcome: str
    detail: str = ""
    silent: bool = False  # the server said nothing; where that fails a row, it is run once more

    @property
    def sentence(self) -> str:
        return f"{self.outcome}: {self.detail}" if self.detail else self.outcome


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the report. Each run is a fresh session with the target.

    `run` raises `Untested` where it can say nothing; `clause` names the RFC's or the policy's.
    """

    id: str
    tried: str
    clause: str
    expected: Callable[[Policy], Expected]
    run: Callable[[Lab], Awaitable[Observation]]
    peers: int = 1  # sessions in one room that it needs at the same time
    seconds: float = 20.0  # after which it is run once more, and is then untested


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the report."""

    id: str
    tried: str
    expected: str
    got: str
    result: Result
    clause: str


def must(*outcomes: str, sentence: str = "") -> Callable[[Policy], Expected]:
    """The same expectation under every policy."""
    expected = Expected.one(*outcomes, sentence=sentence)
    return lambda _policy: expected


def accepted_if(holds: Callable[[Policy], bool]) -> Callable[[Policy], Expected]:
    """Accepted where the policy has it, else refused."""
    return lambda policy: Expected.one(ACCEPTED if holds(policy) else REFUSED)


def judge(row: Row, policy: Policy, seen: Observation | Untested) -> Verdict:
    """Hold what was seen against the policy."""
    expected = row.expected(policy)
    if isinstance(seen, Untested):
        result: Result = "untested"
        got = str(seen)
    else:
        result = "pass" if seen.outcome in expected.outcomes else "fail"
        got = seen.sentence
    return Verdict(row.id, row.tried, expected.sentence, got, result, row.clause)
