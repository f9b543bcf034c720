"""What is said of servers under load: the delay at half of a core, and losses up to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.summary import Load


@dataclass(frozen=True, slots=True)
class Ladder:
    """One scenario's; bytes and duplicates are not counted in these cells."""

    scenario: str  # with the profile, where that is not GCM
    title: str
    half: Sequence[Load]  # of each server, at half of its core, but at no higher rate than ours
    steps: Sequence[Load]  # of ours, at rising rates


def table(ladder: Ladder) -> Table:
    """For people: both, one below the other."""
    shown = Table(box=None, pad_edge=False, title=f"\nUnder load: {ladder.title}")
    shown.title_justify = "left"
    shown.add_column("server")
    for name in ("out/s", "CPU %", "in/wake", "lost", "of", "delay p50 µs", "p99", "server says"):
        shown.add_column(name, justify="right")
    shown.add_column("doubts")
    for one in (*ladder.half, *ladder.steps):
        shown.add_row(one.server, *_figures(one))
    return shown


def _figures(one: Load) -> list[str]:
    return [
        f"{one.out_rate.median:,.0f}",
        f"{100 * one.server_cpu.median:.0f}",
        "-" if one.per_wake is None else f"{one.per_wake:.1f}",
        f"{one.lost:,}",
        f"{one.expected:,}",
        "-" if one.delay_p50 is None else f"{one.delay_p50:,.0f}",
        "-" if one.delay_p99 is None else f"{one.delay_p99:,.0f}",
        "-" if one.server_says is None else f"{one.server_says - one.received:+,}",
        "; ".join(one.doubts),
    ]
