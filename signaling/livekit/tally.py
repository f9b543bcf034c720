"""What went wrong at the door, counted by stable words for the metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """`unserved` by message, `faults` by code, `departures` by reason, `refusals` by code."""

    unserved: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    departures: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
