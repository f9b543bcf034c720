"""Whether the floors are met, said with the ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.scenarios import OURS, SCENARIOS
from bench.summary import OFF_RATE, Load

FLOORS: Final = {"video-even": 1.8, "video-frames": 2.5, "voice": 1.8}
"""Times as many packets out per CPU-second as Janus, by scenario."""
OF_BARE: Final = 0.7
"""Share of what a forwarder without a server around it does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One comparison."""

    scenario: str
    other: str
    floor: float | None  # None: nothing is asked, the ratio is only told
    ratio: float | None  # None: not measured, or not comparable
    why: str = ""
    doubted: bool = False  # whether one of both cells has doubts

    @property
    def met(self) -> bool | None:
        """None where it was not measured, or nothing is asked."""
        if self.ratio is None or self.floor is None:
            return None
        return self.ratio >= self.floor

    def __str__(self) -> str:
        if self.ratio is None:
            return f"{self.scenario}: {self.other}: not compared ({self.why})"
        doubted = ", with doubts (see above)" if self.doubted else ""
        return f"{self.scenario}: {self._said(self.ratio)}{doubted}"

    def _said(self, ratio: float) -> str:
        if self.floor is None:
            return f"{ratio:.2f} times {self.other}"
        met = "met" if self.met else "not met"
        if self.other == "bare":
            return f"{100 * ratio:.0f} % of bare, floor {100 * self.floor:.0f} %: {met}"
        return f"{ratio:.2f} times {self.other}, floor {self.floor:g}: {met}"


def verdicts(loads: Sequence[Load]) -> list[Verdict]:
    """Of the plain GCM cells that have a floor, and of all beside LiveKit where it was measured."""
    cells = {
        (one.scenario, one.server): one
        for one in loads
        if one.profile == "gcm" and not one.feedback
    }
    found = []
    for scenario, floor in FLOORS.items():
        ours = cells.get((scenario, OURS))
        if ours is not None:
            found.append(_against(ours, cells.get((scenario, "janus")), "janus", floor))
            found.append(_against(ours, cells.get((scenario, "bare")), "bare", OF_BARE))
    for one in SCENARIOS:
        ours, theirs = cells.get((one.name, OURS)), cells.get((one.name, "livekit"))
        if ours is not None and theirs is not None:
            found.append(_against(ours, theirs, "livekit", None))
    return found


def _against(ours: Load, theirs: Load | None, other: str, floor: float | None) -> Verdict:
    if theirs is None:
        return Verdict(ours.scenario, other, floor, None, "no figure of it")
    if not theirs.per_cpu_second.median:
        return Verdict(ours.scenario, other, floor, None, "nothing came through it")
    if abs(ours.out_rate.median / theirs.out_rate.median - 1) > 2 * OFF_RATE:
        rates = f"{ours.out_rate.median:,.0f}/s and {theirs.out_rate.median:,.0f}/s"
        return Verdict(ours.scenario, other, floor, None, f"the output rates differ: {rates}")
    if max(ours.loss, theirs.loss) > OFF_RATE:
        return Verdict(ours.scenario, other, floor, None, "packets were lost")
    ratio = ours.per_cpu_second.median / theirs.per_cpu_second.median
    doubted = bool(ours.doubts or theirs.doubts)
    return Verdict(ours.scenario, other, floor, ratio, doubted=doubted)
