"""Tables of a run in Markdown. A cell holds ours / Janus', or ours alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bench.impair.bystander import BAD, Phase
from bench.impair.cases import CASES, ROLES, VERSUS
from bench.impair.screen import Leaf, Shared
from bench.impair.seen import Step
from bench.impair.venues import SERVERS

if TYPE_CHECKING:
    from bench.impair.results import Results

NOT_MEASURED: Final = "not measured"

Entry = Mapping[str, Any]
_COLUMNS: Final[Mapping[str, Callable[[Entry], str]]] = {
    "lost %": lambda case: f"{case['lost'] * 100:.1f}",
    "frames/s": lambda case: f"{case['fps']:.1f}",
    "freezes": lambda case: str(case["freezes"]),
    "frozen s": lambda case: f"{case['frozen']:.1f}",
    "longest s": lambda case: f"{case['longest_freeze']:.1f}",
    "concealed %": lambda case: f"{case['concealed'] * 100:.1f}",
    "height": lambda case: str(case["height"]),
    "changes": lambda case: str(case["layer_changes"]),
    "kbit/s": lambda case: f"{case['kbit']:.0f}",
    "short of CPU %": lambda case: f"{case['cpu_limited'] * 100:.0f}",
}


def head(results: Results) -> str:
    """Where, when and with what."""
    where = f"{results.machine['cores']} cores of {results.machine['processor']}"
    what = f"commit `{results.commit}`, seed {results.seed}"
    told = f"Measured {results.date[:10]} at {what}, on {where}"
    versions = results.versions
    told += f", with {versions['browser']}." if "browser" in versions else "."
    if versions.get("janus", "missing") == "missing":
        return f"{told} **Janus was not measured**: Debian's package `janus` was not installed."
    told_of = [
        *results.cases,
        *({**each, **each["seen"]} for each in results.shares if "seen" in each),
    ]
    sound = {each["server"]: each["sound"] for each in told_of if each.get("sound")}
    ours, theirs = (sound.get(server, "unknown") for server in SERVERS)
    return (
        f"{told}\nWhere a cell has two values, the first is ours and the second that of"
        f" {versions['janus']}. Sound went as {ours} over ours, as {theirs} over Janus."
    )


def case_table(results: Results) -> str:
    """Every case; ours / Janus' where it was played there."""
    lines = _table("network", "behind it", *_COLUMNS)
    for case in CASES:
        for role in ROLES:
            ours, theirs = (results.entry(server, case.name, role) for server in SERVERS)
            if ours is None and theirs is None:
                continue
            cells = [_cell(value, ours, theirs) for value in _COLUMNS.values()]
            notes = "".join(
                f"; *{name}{_trouble(entry)}*"
                for name, entry in (("", ours), ("Janus: ", theirs))
                if entry is not None and _trouble(entry)
            )
            if theirs is None and (case.name, role) in VERSUS and results.versions:
                notes += f"; *Janus: {NOT_MEASURED}*"
            lines.append(_row(f"{case.says}{notes}", role, *cells))
    return "\n".join(lines) if lines[2:] else ""


def _cell(value: Callable[[Entry], str], ours: Entry | None, theirs: Entry | None) -> str:
    def shown(entry: Entry | None) -> str:
        return "-" if entry is None or "failed" in entry else value(entry)

    return shown(ours) if theirs is None else f"{shown(ours)} / {shown(theirs)}"


def _trouble(entry: Entry) -> str:
    if "failed" in entry:
        return str(entry["failed"])
    return "" if entry["survived"] else "picture or sound had stopped"


def step_table(results: Results) -> str:
    """What happened between the changes of the cap."""
    lines = _table(
        *("behind the cap", "server", "from", "cap", "right layer"),
        *("shown after", "longest freeze", "of the cap used"),
    )
    for role in ROLES:
        for server in SERVERS:
            if (seen := results.seen(server, "cap", role)) is None:
                continue
            for step in seen.steps:
                lines.append(
                    _row(
                        role,
                        server,
                        f"{step.start:.0f} s",
                        f"{(step.rate or 0) / 1000:.0f} kbit/s",
                        f"{step.right}, {step.right_height or '?'} lines",
                        after(step),
                        f"{step.longest_freeze:.1f} s",
                        f"{(step.used or 0) * 100:.0f} %",
                    )
                )
    return "\n".join(lines) if lines[2:] else ""


def share_table(results: Results) -> str:
    """Page by page, when it was read."""
    shares = [(server, results.share(server)) for server in SERVERS]
    found = [(server, share) for server, share in shares if share is not None]
    failed = _failed(results.shares)
    if not found:
        return "\n".join(failed)
    pages = range(1, max(len(share.leaves) for _, share in found))
    lines = _table(
        *("server", "first page read after", *(f"turn {n}" for n in pages)),
        *("lines", "concealed %", "lost %", "kbit/s"),
    )
    for server, share in found:
        first, *turned = (read(leaf) for leaf in share.leaves)
        lines.append(_row(server, first, *turned, _heights(share), *_sums(share)))
    return "\n".join([*lines, *failed])


def read(leaf: Leaf) -> str:
    """When a page was read whole, or how much of it ever was."""
    if leaf.read_after is None:
        return f"never ({int(leaf.best * 1000) / 10:.1f} % at best)"
    return f"{leaf.read_after:.1f} s"


def _heights(share: Shared) -> str:
    return ", ".join(map(str, sorted({leaf.height for leaf in share.leaves if leaf.height})))


def _sums(share: Shared) -> tuple[str, ...]:
    return f"{share.concealed * 100:.1f}", f"{share.lost * 100:.1f}", f"{share.kbit:.0f}"


def bystander_table(results: Results) -> str:
    """Phase by phase, what the clean subscriber saw."""
    lines = _table(
        *("server", "the other's network", "frames/s", "height", "kbit/s", "freezes", "frozen s"),
        *("concealed %", "the other's frames/s", "height", "lost %"),
    )
    for server in SERVERS:
        if (found := results.bystander(server)) is not None:
            lines += [_row(server, *_phase(phase)) for phase in found.phases]
    failed = _failed(results.bystanders)
    return "\n".join([*(lines if lines[2:] else []), *failed])


def _phase(phase: Phase) -> tuple[str, ...]:
    bad = f"{(BAD.rate or 0) / 1000:.0f} kbit/s, {BAD.loss * 100:.0f} % lost"
    return (
        bad if phase.bad else "clean",
        f"{phase.fps:.1f}",
        str(phase.height),
        f"{phase.kbit:.0f}",
        str(phase.freezes),
        f"{phase.frozen:.1f}",
        f"{phase.concealed * 100:.1f}",
        f"{phase.other_fps:.1f}",
        str(phase.other_height),
        f"{phase.other_lost * 100:.1f}",
    )


def after(step: Step) -> str:
    """When the right layer was there."""
    return "never" if step.reached_after is None else f"{step.reached_after:.1f} s"


def _failed(entries: Sequence[Entry]) -> list[str]:
    reasons = [f"*{each['server']}: {each['failed']}*" for each in entries if "failed" in each]
    return ["", *reasons] if reasons else []


def _table(*titles: str) -> list[str]:
    return [_row(*titles), "|" + "---|" * len(titles)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
