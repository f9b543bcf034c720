"""A run's results: as JSON, and as the tables between the markers of docs/quality.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.impair.cases import ROLES
from bench.impair.chart import chart
from bench.impair.seen import Seen, Step
from bench.machine import ROOT

PAGE: Final = ROOT / "docs" / "quality.md"
CHART: Final = ROOT / "docs" / "quality-cap.svg"
BEGIN, END = "<!-- make impair: begin -->", "<!-- make impair: end -->"
CONCEALED, USED, DOWN, UP, FREEZE = 0.05, 0.75, 5.0, 15.0, 1.0
"""The bars: parts of the sound and the cap, and seconds."""


@dataclass
class Results:
    """What was played, in order."""

    commit: str
    date: str
    machine: Mapping[str, Any]
    seed: str
    cases: list[dict[str, Any]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_rounded(vars(self)), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """From JSON."""
        return cls(**json.loads(path.read_text()))

    def page(self, page: Path = PAGE, picture: Path = CHART) -> None:
        """Put the tables between the markers of `page`, and the chart beside it."""
        before, _, rest = page.read_text().partition(BEGIN)
        _, found, after = rest.partition(END)
        if not found:
            raise ValueError(f"{page} has lost its markers")
        page.write_text(f"{before}{BEGIN}\n{self.tables()}\n{END}{after}")
        caps = [(role, self._seen("cap", role)) for role in ROLES]
        panels = [(f"The {role} behind the cap", seen) for role, seen in caps if seen]
        if panels:
            picture.write_text(chart(panels))

    def tables(self) -> str:
        """Markdown: every case, the caps step by step, the bars."""
        where = f"{self.machine['cores']} cores of {self.machine['processor']}"
        head = f"Measured {self.date[:10]} at commit `{self.commit}`, seed {self.seed}, on {where}."
        return "\n".join([head, "", *self._cases(), "", *self._steps(), "", *self._bars()])

    def _cases(self) -> list[str]:
        lines = [
            "| network | behind it | lost % | frames/s | freezes | frozen s | longest s "
            "| concealed % | height | changes | kbit/s | short of CPU % |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for case in self.cases:
            if "failed" in case:
                lines.append(f"| {case['says']} | {case['role']} | *{case['failed']}* |")
                continue
            cells = (
                f"{case['lost'] * 100:.1f}",
                f"{case['fps']:.1f}",
                str(case["freezes"]),
                f"{case['frozen']:.1f}",
                f"{case['longest_freeze']:.1f}",
                f"{case['concealed'] * 100:.1f}",
                str(case["height"]),
                str(case["layer_changes"]),
                f"{case['kbit']:.0f}",
                f"{case['cpu_limited'] * 100:.0f}",
            )
            dead = "" if case["survived"] else " *(picture or sound had stopped)*"
            lines.append(f"| {case['says']}{dead} | {case['role']} | {' | '.join(cells)} |")
        return lines

    def _steps(self) -> list[str]:
        lines = [
            "| behind the cap | from | cap | right layer | shown after | longest freeze "
            "| of the cap used |",
            "|---|---|---|---|---|---|---|",
        ]
        for role in ROLES:
            if (seen := self._seen("cap", role)) is None:
                continue
            for step in seen.steps:
                lines.append(
                    f"| {role} | {step.start:.0f} s | {(step.rate or 0) / 1000:.0f} kbit/s "
                    f"| {step.right_height}p | {_after(step)} | {step.longest_freeze:.1f} s "
                    f"| {(step.used or 0) * 100:.0f} % |"
                )
        return [*lines, "", f"![Bitrate and layer under a cap]({CHART.name})"] if lines[2:] else []

    def _bars(self) -> list[str]:
        lines = ["| bar | behind it | measured | met |", "|---|---|---|---|"]
        for role in ROLES:
            if (seen := self._seen("loss-10", role)) is not None:
                lines.append(
                    _bar(
                        "concealed sound at 10 % loss under 5 %",
                        role,
                        f"{seen.concealed * 100:.1f} %",
                        seen.concealed < CONCEALED,
                    )
                )
            if (seen := self._seen("cap", role)) is None or len(seen.steps) < 3:
                continue
            before, down, up = seen.steps[:3]
            for says, step, limit in (
                ("the right layer within 5 s of the cap falling", down, DOWN),
                ("the right layer within 15 s of the cap rising", up, UP),
            ):
                met = step.reached_after is not None and step.reached_after <= limit
                lines.append(_bar(says, role, _after(step), met))
            frozen = down.longest_freeze
            says = "no freeze over 1 s on the way down"
            lines.append(_bar(says, role, f"{frozen:.1f} s", frozen <= FREEZE))
            used = [step.used or 0 for step in (before, down, up)]
            says = "75 % of the cap used in the steady state"
            measured = ", ".join(f"{part * 100:.0f} %" for part in used)
            lines.append(_bar(says, role, measured, min(used) >= USED))
        return lines if lines[2:] else []

    def _seen(self, name: str, role: str) -> Seen | None:
        for case in self.cases:
            if (case["case"], case["role"]) == (name, role) and "failed" not in case:
                return Seen.read({key: case[key] for key in Seen.__dataclass_fields__})
        return None


def _bar(says: str, role: str, measured: str, met: bool) -> str:
    return f"| {says} | {role} | {measured} | {'yes' if met else '**no**'} |"


def _after(step: Step) -> str:
    return "never" if step.reached_after is None else f"{step.reached_after:.1f} s"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
