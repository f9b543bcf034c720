"""From samples of getStats and of the link, once a second, to what a person saw and heard. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from bench.link.conditions import Schedule

WIDE: Final = 1e6
"""bit/s: with less, the smallest layer is the right one, with more the largest: LiveKit's three of
720p want 1.7 Mbit/s, 450 and 160 kbit/s."""
SETTLED: Final = 3
"""Samples in a row that a layer must be shown to count as reached."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters at one moment. Those of pictures and sound are the receiver's."""

    at: float
    """Seconds since the schedule began."""
    height: int
    frames: int
    freezes: int
    frozen: float
    concealed: int
    samples: int
    link_bytes: int
    """What the bad link has delivered of IP packets in the direction of the media."""
    link_offered: int
    link_lost: int
    link_overflowed: int
    limited: str = ""
    """Why the publisher's browser sends less than it could: `cpu`, `bandwidth` or nothing."""
    smallest: int = 0
    """Height of the smallest layer that the publisher's browser makes; 0 for none."""
    largest: int = 0
    """Of the largest. A browser short of processor makes all layers smaller."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened between two changes of the network."""

    start: float
    end: float
    rate: float | None
    """bit/s; None for no cap."""
    right: str
    """Which layer is right: `smallest` or `largest`."""
    right_height: int
    """What it had most of the time; 0 where it was not sent."""
    reached_after: float | None
    """Seconds until the right layer was shown and stayed; None for not within the step."""
    used: float | None
    """Part of the cap that was used in the second half."""
    longest_freeze: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A case, from outside."""

    seconds: float
    fps: float
    freezes: int
    frozen: float
    longest_freeze: float
    concealed: float
    """Part of the sound that was made up for what did not arrive."""
    height: int
    """The most shown."""
    layer_changes: int
    kbit: float
    lost: float
    """Part of the packets that the link lost, its queue's drops included."""
    cpu_limited: float
    """Part of the time that the publisher's browser said it was short of processor."""
    steps: tuple[Step, ...]
    series: dict[str, list[float]]
    """Once a second, for charts: at, fps, height, kbit."""

    def written(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Seen:
        """From JSON."""
        steps = tuple(Step(**step) for step in given["steps"])
        return cls(**{**given, "steps": steps})


def seen(samples: Sequence[Sample], schedule: Schedule) -> Seen:
    """What a person saw, from two samples or more."""
    first, last = samples[0], samples[-1]
    pairs = list(itertools.pairwise(samples))
    seconds = last.at - first.at
    offered = last.link_offered - first.link_offered
    dropped = last.link_lost + last.link_overflowed - first.link_lost - first.link_overflowed
    sound = last.samples - first.samples
    heights = [sample.height for sample in samples if sample.height]
    return Seen(
        seconds=seconds,
        fps=(last.frames - first.frames) / seconds,
        freezes=last.freezes - first.freezes,
        frozen=last.frozen - first.frozen + _still_at_the_end(pairs),
        longest_freeze=_longest_freeze(pairs),
        concealed=(last.concealed - first.concealed) / sound if sound else 1.0,
        height=_most(heights),
        layer_changes=sum(a != b for a, b in itertools.pairwise(heights)),
        kbit=(last.link_bytes - first.link_bytes) * 8 / seconds / 1000,
        lost=dropped / offered if offered else 0.0,
        cpu_limited=statistics.fmean(sample.limited == "cpu" for sample in samples),
        steps=_steps(samples, schedule),
        series={
            "at": [later.at for _, later in pairs],
            "fps": [(b.frames - a.frames) / (b.at - a.at) for a, b in pairs],
            "height": [float(later.height) for _, later in pairs],
            "kbit": [(b.link_bytes - a.link_bytes) * 8 / (b.at - a.at) / 1000 for a, b in pairs],
        },
    )


Pairs = Sequence[tuple[Sample, Sample]]
Right = Literal["smallest", "largest"]


def _steps(samples: Sequence[Sample], schedule: Schedule) -> tuple[Step, ...]:
    found = []
    starts = [start for start, _ in schedule.steps]
    for (start, conditions), end in zip(schedule.steps, [*starts[1:], samples[-1].at], strict=True):
        within = [sample for sample in samples if start <= sample.at <= end]
        pairs = list(itertools.pairwise(within))
        if not pairs:
            continue
        right: Right = "largest" if (conditions.rate or WIDE) >= WIDE else "smallest"
        found.append(
            Step(
                start=start,
                end=end,
                rate=conditions.rate,
                right=right,
                right_height=_most(getattr(sample, right) for sample in within),
                reached_after=_reached(pairs, right, start),
                used=_used(pairs[len(pairs) // 2 :], conditions.rate),
                longest_freeze=_longest_freeze(pairs),
            )
        )
    return tuple(found)


def _most(heights: Iterable[int]) -> int:
    """The most frequent one that is a height at all."""
    return next(iter(statistics.multimode(height for height in heights if height)), 0)


def _reached(pairs: Pairs, right: Right, start: float) -> float | None:
    """Shown means decoded: a size that is only remembered while nothing arrives does not count."""
    shown = [
        later.height in {getattr(before, right), getattr(later, right)}
        and later.frames > before.frames
        for before, later in pairs
    ]
    for index in range(len(shown) - SETTLED + 1):
        if all(shown[index : index + SETTLED]):
            return max(pairs[index][1].at - start, 0.0)
    return None


def _used(pairs: Pairs, rate: float | None) -> float | None:
    if rate is None or not pairs:
        return None
    first, last = pairs[0][0], pairs[-1][1]
    return (last.link_bytes - first.link_bytes) * 8 / (last.at - first.at) / rate


def _longest_freeze(pairs: Pairs) -> float:
    """Browsers count a freeze when it is over, so seconds without any picture count beside it."""
    longest = still = 0.0
    for before, later in pairs:
        if (ended := later.freezes - before.freezes) > 0:
            longest = max(longest, (later.frozen - before.frozen) / ended)
        still = still + later.at - before.at if later.frames == before.frames else 0.0
        longest = max(longest, still)
    return longest


def _still_at_the_end(pairs: Pairs) -> float:
    """A freeze that is not over, which browsers do not count yet."""
    backwards = itertools.takewhile(lambda pair: pair[0].frames == pair[1].frames, reversed(pairs))
    return sum(later.at - before.at for before, later in backwards)
