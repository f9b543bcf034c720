"""A run's results: as JSON, and as the tables between the markers of docs/quality.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.impair.bars import bars
from bench.impair.bystander import Bystander
from bench.impair.cases import ROLES, Role
from bench.impair.chart import chart
from bench.impair.screen import Shared
from bench.impair.seen import Seen
from bench.impair.tables import bystander_table, case_table, head, share_table, step_table
from bench.impair.venues import SERVERS, Server
from bench.machine import ROOT

PAGE: Final = ROOT / "docs" / "quality.md"
CHART: Final = ROOT / "docs" / "quality-cap-{role}.svg"
BEGIN, END = "<!-- make impair: begin -->", "<!-- make impair: end -->"
NAMES: Final[Mapping[Server, str]] = {"conclave": "Conclave", "janus": "Janus"}


@dataclass
class Results:
    """What was played. An entry has what it is about (server, case, role) and what was measured, or
    `failed` with the reason.
    """

    commit: str
    date: str
    machine: Mapping[str, Any]
    seed: str
    versions: dict[str, str] = field(default_factory=dict)
    """Of the browser and of servers that are not ours; `missing` for one that is not installed."""
    cases: list[dict[str, Any]] = field(default_factory=list)
    shares: list[dict[str, Any]] = field(default_factory=list)
    bystanders: list[dict[str, Any]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_rounded(vars(self)), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """From JSON."""
        return cls(**json.loads(path.read_text()))

    def entry(self, server: Server, name: str, role: Role) -> dict[str, Any] | None:
        """What was entered last about a case."""
        wanted = (server, name, role)
        about = ("server", "case", "role")
        found = (
            case for case in reversed(self.cases) if tuple(case[key] for key in about) == wanted
        )
        return next(found, None)

    def seen(self, server: Server, name: str, role: Role) -> Seen | None:
        """What was seen in a case; None where it failed or was not played."""
        case = self.entry(server, name, role)
        if case is None or "failed" in case:
            return None
        return Seen.read({key: case[key] for key in Seen.__dataclass_fields__})

    def share(self, server: Server) -> Shared | None:
        """The same of the shared screen."""
        return next((Shared.read(each["seen"]) for each in _done(self.shares, server)), None)

    def bystander(self, server: Server) -> Bystander | None:
        """The same of the call of three."""
        return next((Bystander.read(each["seen"]) for each in _done(self.bystanders, server)), None)

    def page(self, page: Path = PAGE, picture: Path = CHART) -> None:
        """Put the tables between the markers of `page`, and the charts beside it."""
        before, _, rest = page.read_text().partition(BEGIN)
        _, found, after = rest.partition(END)
        if not found:
            raise ValueError(f"{page} has lost its markers")
        page.write_text(f"{before}{BEGIN}\n{self.tables()}\n{END}{after}")
        for role, drawn in self._charts().items():
            _chart(picture, role).write_text(drawn)

    def tables(self) -> str:
        """Markdown: the bars, every case, the caps step by step, the share, the call of three."""
        charts = [
            f"![Bitrate and height under a cap, the {role} behind it]({_chart(CHART, role).name})"
            for role in self._charts()
        ]
        sections = {
            "The bars": bars(self),
            "All cases": case_table(self),
            "The cap, step by step": "\n\n".join([step_table(self), *charts]),
            "A shared screen at 300 kbit/s beside voice": share_table(self),
            "One bad subscriber and a clean one": bystander_table(self),
        }
        parts = [f"### {title}\n\n{text}" for title, text in sections.items() if text]
        return "\n\n".join([head(self), *parts])

    def _charts(self) -> dict[Role, str]:
        """One for each role, ours above Janus'."""
        found: dict[Role, str] = {}
        for role in ROLES:
            caps = [(NAMES[server], self.seen(server, "cap", role)) for server in SERVERS]
            if panels := [(f"{name}, the {role} behind the cap", cap) for name, cap in caps if cap]:
                found[role] = chart(panels)
        return found


def _chart(picture: Path, role: Role) -> Path:
    return Path(str(picture).format(role=role))


def _done(entries: list[dict[str, Any]], server: Server) -> list[dict[str, Any]]:
    """Those that did not fail, the last first."""
    return [each for each in reversed(entries) if each["server"] == server and "seen" in each]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
