"""Whether a server that was under load for long is still as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

MAX_GROWTH: Final = 0.03
"""Of the memory, over the whole time, by a line through the samples after the first quarter."""
MIN_SECONDS: Final = 300.0
"""A shorter time tells nothing about growth: what is used for the first time still adds to it."""
_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server."""

    at: float  # seconds since the churn began
    resident: int  # bytes
    load: float  # of a core, since the look before
    people: int


@dataclass(slots=True)
class Verdict:
    """What was seen, and what is wrong with it."""

    samples: list[Sample]
    did: dict[str, int]  # what people did, how often
    relay: dict[str, int]  # the relay's counters at the end
    left: dict[str, int]  # gauges after everybody had gone
    lost: int  # packets that the steady audience did not get
    faults: list[str] = field(default_factory=list)

    def judge(self, failures: Sequence[str]) -> None:
        """Fill in `faults`; `failures` are sessions that ended by themselves."""
        if failures:
            self.faults.append(f"{len(failures)} sessions ended; the first: {failures[0]}")
        if self.did.get("failed to come"):
            self.faults.append(f"{self.did['failed to come']} people could not join")
        growth = self.growth()
        if growth is not None and growth > MAX_GROWTH:
            grown = growth * self.samples[-1].resident / _MEBIBYTE
            self.faults.append(f"memory grows: {100 * growth:.1f} % ({grown:.1f} MiB)")
        self.faults += [f"{name} are left: {count}" for name, count in self.left.items() if count]
        self.faults += unbalanced(self.relay)

    def growth(self) -> float | None:
        """Of the memory over the whole time, as a share; None when the time was too short."""
        later = self.samples[len(self.samples) // 4 :]
        if self.samples[-1].at < MIN_SECONDS:
            return None
        at = np.array([sample.at for sample in later])
        resident = np.array([sample.resident for sample in later], float)
        slope = float(np.polyfit(at, resident, 1)[0])
        return slope * float(at[-1]) / float(resident.mean())


def unbalanced(relay: Mapping[str, int]) -> list[str]:
    """Which of the relay's sums do not add up: what came in is accepted or dropped for a reason,
    what was to be sent is sent or skipped for a reason.
    """

    def of(prefix: str) -> int:
        return sum(count for name, count in relay.items() if name.startswith(prefix))

    sums = {
        "rtp_in": (relay["rtp_in"], relay["rtp_accepted"] + of("rtp_drop_")),
        "rtp_offered": (
            relay["rtp_offered"],
            relay["rtp_out"] + of("rtp_skip_") + relay.get("rtp_waiting_now", 0),
        ),
    }
    return [
        f"{name} is {whole}, its parts are {parts}"
        for name, (whole, parts) in sums.items()
        if whole != parts
    ]
