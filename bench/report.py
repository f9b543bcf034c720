"""The tables for people and the JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.bounds import Bound, bounds
from bench.ladders import Ladder, table
from bench.machine import Machine
from bench.scenarios import ALL
from bench.summary import JoinTimes, Load, Spread
from bench.verdict import Verdict, verdicts


@dataclass(slots=True)
class Report:
    """Everything that one run found out."""

    commit: str
    date: str  # ISO 8601, UTC
    machine: Machine
    servers: Mapping[str, str]  # version, or why it was not measured
    quick: bool
    suite: str
    window: float  # seconds
    repeats: int
    loads: list[Load] = field(default_factory=list)
    joins: JoinTimes | None = None
    joins_loaded: JoinTimes | None = None
    memory_per_peer: dict[str, float] = field(default_factory=dict)  # bytes, by place
    idle_cpu: dict[str, float] = field(default_factory=dict)  # share of a core, by place
    ladders: list[Ladder] = field(default_factory=list)
    places: dict[str, dict[str, int]] = field(default_factory=dict)  # connections by port, by place
    failed: dict[str, str] = field(default_factory=dict)  # why, by place

    def write(self, path: Path) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "verdicts": [asdict(one) | {"met": one.met} for one in verdicts(self.loads)],
            "bounds": [asdict(one) | {"met": one.met} for one in bounds(self.loads, self.ladders)],
        }
        path.write_text(json.dumps(asdict(self) | told, indent=1) + "\n")

    def show(self, console: Console) -> None:
        """Print it."""
        here = self.machine
        console.print(
            f"\n[bold]Conclave {self.commit}[/] on {here.processor}, {here.cores} cores, "
            f"Linux {here.kernel}\n{self.suite}; median of {self.repeats} windows of "
            f"{self.window:g} s (lowest to highest); servers on one core, clients on another"
        )
        for name, told in self.servers.items():
            console.print(f"{name}: {told}")
        for profile, feedback in dict.fromkeys((one.profile, one.feedback) for one in self.loads):
            here_ = [
                one for one in self.loads if (one.profile, one.feedback) == (profile, feedback)
            ]
            console.print(_loads(here_, self.servers, profile, feedback))
        for ladder in self.ladders:
            console.print(table(ladder))
        if self.joins:
            _show_joins(console, self.joins)
        if self.joins_loaded:
            _show_joins(console, self.joins_loaded)
        for place, ports in self.places.items():
            if len(ports) > 1 and not place.startswith("janus"):
                console.print(f"{place}: {' and '.join(map(str, ports.values()))} people by worker")
        for place, memory in self.memory_per_peer.items():
            idle = self.idle_cpu.get(place)
            rest = f", {100 * idle:.1f} % of a core when all are silent" if idle is not None else ""
            console.print(f"{place}: {memory / 1000:.0f} kB of memory per peer{rest}")
        for place, why in self.failed.items():
            console.print(f"[red]failed[/] {place}: {why}", markup=True)
        for doubt, places in self._doubts().items():
            console.print(f"[yellow]doubt[/] {doubt}: {', '.join(places)}")
        judged: list[Verdict | Bound] = [*verdicts(self.loads), *bounds(self.loads, self.ladders)]
        for verdict in judged:
            colour = {True: "green", False: "red", None: "yellow"}[verdict.met]
            told = "beside" if isinstance(verdict, Verdict) and verdict.floor is None else "floor"
            console.print(f"[{colour}]{told}[/] {verdict}")

    def _doubts(self) -> dict[str, list[str]]:
        """Each doubt once, with the places it concerns."""
        found: dict[str, list[str]] = {}
        for one in self.loads:
            way = "feedback" if one.feedback else "plain"
            for doubt in one.doubts:
                place = f"{one.scenario} {one.server} {one.profile} {way}"
                found.setdefault(doubt, []).append(place)
        for doubt in self.joins.doubts if self.joins else ():
            found.setdefault(doubt, []).append("joins")
        return found


def _loads(
    loads: Sequence[Load], servers: Mapping[str, str], profile: str, feedback: bool
) -> Table:
    way = "with feedback, NACK and RTX" if feedback else "without feedback"
    table = Table(box=None, pad_edge=False, title=f"\n{profile.upper()}, {way}")
    table.title_justify = "left"
    for name in ("scenario", "server"):
        table.add_column(name)
    for name in (
        "out/s",
        "out per CPU-s",
        "µs each",
        "CPU %",
        "in/wake",
        "loss %",
        "delay p50 µs",
        "p99",
        "bytes/payload",
        "resent",
        "checked",
        "server says",
    ):
        table.add_column(name, justify="right")
    for scenario in ALL:
        rows = {one.server: one for one in loads if one.scenario == scenario.name}
        named = scenario.servers or servers
        for server in named if rows else ():
            title = scenario.title if server == next(iter(named)) else ""
            if (one := rows.get(server)) is None:
                table.add_row(title, server, "not measured")
            else:
                table.add_row(title, server, *_figures(one))
    return table


def _figures(one: Load) -> list[str]:
    said = "-" if one.server_says is None else f"{one.server_says - one.received:+,}"
    return [
        f"{one.out_rate.median:,.0f}",
        _range(one.per_cpu_second),
        f"{1e6 / one.per_cpu_second.median:.2f}" if one.per_cpu_second.median else "-",
        f"{100 * one.server_cpu.median:.1f}",
        "-" if one.per_wake is None else f"{one.per_wake:.1f}",
        f"{100 * one.loss:.3f}",
        _number(one.delay_p50),
        _number(one.delay_p99),
        f"{one.expansion:.4f}",
        f"{one.resent:,}",
        f"{one.checked:,}",
        said,
    ]


def _show_joins(console: Console, joins: JoinTimes) -> None:
    failed = f", [red]{joins.failed} failed[/]" if joins.failed else ""
    loaded = "" if joins.load is None else f" at a load of {100 * joins.load:.0f} % of a core"
    console.print(
        f"\njoins: {joins.joins} at {joins.pace:g}/s{loaded}{failed}: to keys p50 "
        f"{_number(joins.keys_p50)} p99 {_number(joins.keys_p99)} ms, to first media p50 "
        f"{_number(joins.media_p50)} p99 {_number(joins.media_p99)} ms, "
        f"{joins.per_cpu_second:.0f} joins per CPU-second, {joins.control_ms:.1f} ms of CPU each "
        f"without the relay's; event loop late by at most {_number(joins.loop_p50)} (p50) and "
        f"{_number(joins.loop_p99)} ms (p99)"
    )


def _range(spread: Spread) -> str:
    return f"{spread.median:,.0f} ({spread.low / 1000:.0f}-{spread.high / 1000:.0f}k)"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
