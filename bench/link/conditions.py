"""How bad a link is, and from when: frozen values, checked as they are made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

MS: Final = 1_000_000
SECOND: Final = 1_000 * MS
NEVER: Final = 1 << 62  # nanoseconds: over a hundred years
MAX_SECONDS: Final = 10.0  # of delay, jitter and queue: a longer one is a mistake in the units
MIN_RATE: Final = 8_000  # bit/s: at less, one packet takes longer than any case runs
SPREAD: Final = math.sqrt(4.5)
"""From a standard deviation to the half width of what an ordered pipe's jitter is drawn from.

Uniform points of half width h have variance h²/3, and a line through independent points keeps
two thirds of it: h = √3 √1.5 times the deviation.
"""


class WrongConditions(ValueError):
    """Conditions that no link can have; says which and why."""


def _need_chances(of: object, *names: str) -> None:  # first: a default below is made at import
    for name in names:
        value = getattr(of, name)
        if not 0 <= value <= 1:
            raise WrongConditions(f"{name} is {value}, not a chance between 0 and 1")


@dataclass(frozen=True, slots=True)
class Bursts:
    """Loss in bursts after Gilbert and Elliott: a chain of two states that moves with each packet.

    `p` is the chance to turn bad, `r` to turn good again; `loss_good` and `loss_bad` are the
    chances to be lost in either state. With the defaults, bursts are 1/r packets long on
    average.
    """

    p: float
    r: float
    loss_good: float = 0.0
    loss_bad: float = 1.0

    def __post_init__(self) -> None:
        _need_chances(self, "p", "r", "loss_good", "loss_bad")
        if self.p + self.r == 0:
            raise WrongConditions("p and r are both 0: the chain never moves")

    @property
    def lost(self) -> float:
        """The part of all packets that is lost in the long run."""
        return (self.r * self.loss_good + self.p * self.loss_bad) / (self.p + self.r)


@dataclass(frozen=True, slots=True)
class Conditions:
    """One direction of a link. Times in seconds, rates in bit/s of IP packets, chances 0 to 1.

    A packet passes a queue of `queue` seconds at `rate` (drop-tail), then may be lost (`loss` each
    for itself, `bursts` together), then travels `delay`, give or take.
    """

    loss: float = 0.0
    bursts: Bursts | None = None
    delay: float = 0.0
    jitter: float = 0.0
    """Standard deviation of the delay. Packets keep their order unless `jitter_reorders`."""
    jitter_reorders: bool = False
    """Each packet's delay is drawn for itself: those sent close together overtake each other."""
    reorder: float = 0.0
    """The chance to be held back by `reorder_by`, so that later packets overtake."""
    reorder_by: float = 0.02
    duplicate: float = 0.0
    rate: float | None = None
    queue: float = 0.2
    """What the queue before a `rate` holds, in seconds at that rate."""
    queue_bytes: int | None = None
    """The same in bytes, instead of `queue`."""

    def __post_init__(self) -> None:
        _need_chances(self, "loss", "reorder", "duplicate")
        for name in ("delay", "jitter", "reorder_by", "queue"):
            value = getattr(self, name)
            if not 0 <= value <= MAX_SECONDS:
                raise WrongConditions(f"{name} is {value} s, not between 0 and {MAX_SECONDS:.0f}")
        if self.rate is not None and not MIN_RATE <= self.rate < math.inf:
            raise WrongConditions(f"rate is {self.rate} bit/s; at least {MIN_RATE} is needed")
        if self.queue_bytes is not None and self.queue_bytes < 1:
            raise WrongConditions(f"queue_bytes is {self.queue_bytes}; a queue holds something")
        if self.jitter_spread > self.delay:
            raise WrongConditions(
                f"jitter of {self.jitter} s reaches {self.jitter_spread:.4f} s below a delay of"
                f" {self.delay} s: nothing arrives before it is sent"
            )

    @property
    def jitter_spread(self) -> float:
        """How far the delay is drawn from its middle, in seconds."""
        return self.jitter * (math.sqrt(3) if self.jitter_reorders else SPREAD)

    @property
    def lost(self) -> float:
        """The part of the packets that comes through the queue and is lost, in the long run."""
        kept = 1 - self.loss
        return 1 - kept * (1 - self.bursts.lost if self.bursts else 1)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Conditions:
        """From JSON. Raises WrongConditions."""
        values = dict(given)
        try:
            if (bursts := values.pop("bursts", None)) is not None:
                values["bursts"] = Bursts(**bursts)
            return cls(**values)
        except TypeError as error:
            known = ", ".join(field.name for field in fields(cls))
            raise WrongConditions(f"{error}; there are: {known}") from None

    def written(self) -> dict[str, Any]:
        """For JSON: what differs from a perfect link."""
        perfect = asdict(PERFECT)
        return {name: value for name, value in asdict(self).items() if value != perfect[name]}


PERFECT: Final = Conditions()


@dataclass(frozen=True, slots=True)
class Schedule:
    """Conditions by the time from which they hold, in seconds since the schedule began."""

    steps: tuple[tuple[float, Conditions], ...] = ((0.0, PERFECT),)

    def __post_init__(self) -> None:
        if not self.steps or self.steps[0][0] != 0:
            raise WrongConditions("a schedule begins with conditions for 0 s")
        if any(later <= earlier for (earlier, _), (later, _) in itertools.pairwise(self.steps)):
            raise WrongConditions("the times of a schedule must increase")

    @classmethod
    def always(cls, conditions: Conditions) -> Schedule:
        """The same from beginning to end."""
        return cls(((0.0, conditions),))

    @classmethod
    def read(cls, given: Sequence[Sequence[Any]]) -> Schedule:
        """From JSON: [[seconds, {…}], …]. Raises WrongConditions."""
        return cls(tuple((float(at), Conditions.read(step)) for at, step in given))

    def written(self) -> list[list[Any]]:
        """For JSON."""
        return [[at, step.written()] for at, step in self.steps]

    def at(self, elapsed: int) -> Conditions:
        """What holds `elapsed` nanoseconds after the beginning."""
        current = self.steps[0][1]
        for start, step in self.steps:
            if start * SECOND > elapsed:
                break
            current = step
        return current

    def after(self, elapsed: int) -> Iterator[tuple[int, Conditions]]:
        """What holds now and later: (nanoseconds at which it ends, conditions), the last never."""
        for (_, step), (end, _) in itertools.pairwise(self.steps):
            if end * SECOND > elapsed:
                yield int(end * SECOND), step
        yield NEVER, self.steps[-1][1]
