"""The bars that a run is held to, what was measured, and whether it is enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bench.impair.cases import ROLES, Role
from bench.impair.tables import NOT_MEASURED, after, read
from bench.impair.venues import SERVERS, Server

if TYPE_CHECKING:
    from bench.impair.results import Results

CONCEALED, USED, DOWN, UP, FREEZE = 0.05, 0.75, 5.0, 15.0, 1.0
"""Parts of the sound and of the cap, and seconds."""

Verdict = tuple[str, bool]
"""What was measured, and whether that meets the bar."""
_CAP: Final = (
    f"the right layer within {DOWN:.0f} s of the cap falling",
    f"the right layer within {UP:.0f} s of the cap rising",
    f"no freeze over {FREEZE:.0f} s on the way down",
    f"{USED * 100:.0f} % of the cap used in the steady state",
)


def bars(results: Results) -> str:
    """A table: bar, who has the bad network, ours and whether it meets the bar, and Janus'."""
    lines = ["| bar | behind it | measured | met | Janus | met |", "|---|---|---|---|---|---|"]
    for says, who, *verdicts in _rows(results):
        if any(verdicts):
            cells = " | ".join(" | ".join(_cells(each)) for each in verdicts)
            lines.append(f"| {says} | {who} | {cells} |")
    return "\n".join(lines) if lines[2:] else ""


def _cells(verdict: Verdict | None) -> tuple[str, str]:
    if verdict is None:
        return NOT_MEASURED, ""
    measured, met = verdict
    return measured, "yes" if met else "**no**"


Row = tuple[str, str, Verdict | None, Verdict | None]


def _rows(results: Results) -> Iterator[Row]:
    for role in ROLES:
        says = f"concealed sound at 10 % loss under {CONCEALED * 100:.0f} %"
        ours, theirs = (_concealed(results, server, role) for server in SERVERS)
        yield says, role, ours, theirs
    for role in ROLES:
        both = [_cap(results, server, role) for server in SERVERS]
        for number, says in enumerate(_CAP):
            ours, theirs = (found[number] if found else None for found in both)
            yield says, role, ours, theirs
    both = [_share(results, server) for server in SERVERS]
    for number, says in enumerate(
        (
            "a shared page read whole, at 300 kbit/s beside voice",
            "every turn of the page read whole",
            f"concealed voice beside the share under {CONCEALED * 100:.0f} %",
        )
    ):
        ours, theirs = (found[number] if found else None for found in both)
        yield says, "subscriber", ours, theirs
    ours, theirs = (_bystander(results, server) for server in SERVERS)
    yield "one bad subscriber changes nothing for the other", "the other", ours, theirs


def _concealed(results: Results, server: Server, role: Role) -> Verdict | None:
    if (seen := results.seen(server, "loss-10", role)) is None:
        return None
    return f"{seen.concealed * 100:.1f} %", seen.concealed < CONCEALED


def _cap(results: Results, server: Server, role: Role) -> list[Verdict] | None:
    seen = results.seen(server, "cap", role)
    if seen is None or len(seen.steps) < 3:
        return None
    before, down, up = seen.steps[:3]
    used = [step.used or 0 for step in (before, down, up)]
    return [
        (after(down), down.reached_after is not None and down.reached_after <= DOWN),
        (after(up), up.reached_after is not None and up.reached_after <= UP),
        (f"{down.longest_freeze:.1f} s", down.longest_freeze <= FREEZE),
        (", ".join(f"{part * 100:.0f} %" for part in used), min(used) >= USED),
    ]


def _share(results: Results, server: Server) -> list[Verdict] | None:
    if (share := results.share(server)) is None:
        return None
    first, *turned = share.leaves
    return [
        (f"{read(first)}", first.read_after is not None),
        (", ".join(map(read, turned)), all(leaf.read_after is not None for leaf in turned)),
        (f"{share.concealed * 100:.1f} %", share.concealed < CONCEALED),
    ]


def _bystander(results: Results, server: Server) -> Verdict | None:
    if (found := results.bystander(server)) is None:
        return None
    worse = found.worse()
    return f"worse: {', '.join(worse)}" if worse else "nothing worse", not worse
