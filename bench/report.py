"""The table for people and the JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.machine import Machine
from bench.summary import JoinTimes, Load, Spread


@dataclass(slots=True)
class Report:
    """Everything that one run found out."""

    commit: str
    date: str  # ISO 8601, UTC
    machine: Machine
    quick: bool
    profile: str
    suite: str
    feedback: bool  # whether receivers told of arrivals and asked for lost packets
    window: float  # seconds
    repeats: int
    loads: list[Load] = field(default_factory=list)
    joins: JoinTimes | None = None
    memory_per_peer: dict[str, float] = field(default_factory=dict)  # bytes, by scenario
    idle_cpu: dict[str, float] = field(default_factory=dict)  # share of a core, by scenario

    def write(self, path: Path) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def show(self, console: Console) -> None:
        """Print it."""
        here = self.machine
        clients = f"{self.profile}, {self.suite}{', feedback' if self.feedback else ''}"
        console.print(
            f"\n[bold]Conclave {self.commit}[/] on {here.processor}, {here.cores} cores, "
            f"Linux {here.kernel}\n{clients}; median of {self.repeats} windows "
            f"of {self.window:g} s (lowest to highest); server on one core, clients on another"
        )
        if self.loads:
            console.print(_loads(self.loads))
        if self.joins:
            _show_joins(console, self.joins)
        for name, memory in self.memory_per_peer.items():
            idle = self.idle_cpu.get(name)
            rest = f", {100 * idle:.1f} % of a core when all are silent" if idle is not None else ""
            console.print(f"{name:<11} {memory / 1024:.0f} KiB of memory per peer{rest}")
        for doubt, places in self._doubts().items():
            console.print(f"[yellow]doubt[/] {doubt}: {', '.join(places)}")

    def _doubts(self) -> dict[str, list[str]]:
        """Each doubt once, with the places it concerns."""
        found: dict[str, list[str]] = {}
        for load in self.loads:
            for doubt in load.doubts:
                place = f"{load.scenario} {load.pattern} {load.publisher_rate:g}"
                found.setdefault(doubt, []).append(place)
        for doubt in self.joins.doubts if self.joins else ():
            found.setdefault(doubt, []).append("joins")
        return found


def _loads(loads: Sequence[Load]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("scenario", "pattern"):
        table.add_column(name)
    for name in (
        "in/s each",
        "out/s",
        "out per CPU-s",
        "µs each",
        "CPU %",
        "core %",
        "in/wake",
        "loss %",
        "delay p50 µs",
        "p99",
        "checked",
        "server says",
    ):
        table.add_column(name, justify="right")
    for one in loads:
        said = "-" if one.server_says is None else f"{one.server_says - one.received:+,}"
        table.add_row(
            one.scenario,
            one.pattern,
            f"{one.publisher_rate:g}",
            f"{one.out_rate.median:,.0f}",
            _range(one.per_cpu_second),
            f"{1e6 / one.per_cpu_second.median:.2f}" if one.per_cpu_second.median else "-",
            f"{100 * one.server_cpu.median:.1f}",
            f"{100 * one.core_busy.median:.1f}",
            "-" if one.per_wake is None else f"{one.per_wake:.1f}",
            f"{100 * one.loss:.3f}",
            _number(one.delay_p50),
            _number(one.delay_p99),
            f"{one.checked:,}",
            said,
        )
    return table


def _show_joins(console: Console, joins: JoinTimes) -> None:
    failed = f", [red]{joins.failed} failed[/]" if joins.failed else ""
    console.print(
        f"\njoins       {joins.joins} at {joins.pace:g}/s{failed}: to keys p50 "
        f"{_number(joins.keys_p50)} p99 {_number(joins.keys_p99)} ms, to first media p50 "
        f"{_number(joins.media_p50)} p99 {_number(joins.media_p99)} ms, "
        f"{joins.per_cpu_second:.0f} joins per CPU-second"
    )


def _range(spread: Spread) -> str:
    return f"{spread.median:,.0f} ({spread.low / 1000:.0f}-{spread.high / 1000:.0f}k)"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
