"""`conclave probe`: picks the target, runs the rows, writes the reports, says how it went."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from sfu.probe import policy as policies
from sfu.probe.policy import BadPolicy, Policy
from sfu.probe.report import Terminal, as_json, as_junit, as_table, summary
from sfu.probe.row import Row
from sfu.probe.rows import ROWS
from sfu.probe.run import COULD_NOT_TEST, Bounds, Report, probe
from sfu.probe.targets import Target, Unreachable
from sfu.probe.targets.livekit import LiveKitTarget
from sfu.probe.targets.seats import seats_of
from sfu.probe.targets.self_node import self_node
from sfu.probe.targets.whip import WhipTarget

SELF: Final = "self"


class BadRequest(Exception):
    """A command line that cannot be followed; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user wants."""

    target: str
    policy: str = "standard"
    tokens: tuple[str, ...] = ()
    beside: str = ""  # the other door of WHIP and WHEP
    authority: Path | None = None  # trusted for TLS, instead of the system's
    insecure: bool = False
    rows: tuple[str, ...] = ()  # beginnings of ids; empty: all
    json: str = ""  # a file, or - for standard output
    junit: str = ""
    seconds: float = 600.0
    at_once: int = 12


def run(wanted: Request, out: Console, err: Console) -> int:
    """Do it; the exit code (`sfu.probe.run`). Nothing is raised for what a user can cause."""
    try:
        policy = policies.load(wanted.policy)
        rows = _rows(wanted)
        with Terminal(err, len(rows)) as terminal:
            report = asyncio.run(_probed(wanted, policy, rows, terminal))
        _write(report, wanted, out)
    except (BadPolicy, BadRequest, Unreachable, OSError) as error:
        err.print(str(error), style="bold red", markup=False)
        return COULD_NOT_TEST
    return report.exit_code


async def _probed(
    wanted: Request, policy: Policy, rows: Sequence[Row], terminal: Terminal
) -> Report:
    bounds = Bounds(wanted.seconds, wanted.at_once)
    async with _opened(wanted, policy) as target:
        return await probe(target, policy, rows, terminal.row, bounds)


@asynccontextmanager
async def _opened(wanted: Request, policy: Policy) -> AsyncIterator[Target]:
    """The target named. Raises `BadRequest` and `Unreachable`."""
    if wanted.target == SELF:
        async with self_node(policy.base) as node:
            yield node
        return
    if not wanted.tokens:
        raise BadRequest(
            "A token is needed: --token, or CONCLAVE_PROBE_TOKEN (`conclave token` makes one)."
        )
    kind = wanted.target.partition("+")[0]
    seats, trust = seats_of(wanted.tokens), _trust(wanted)
    target: Target
    try:
        if kind == "livekit":
            target = LiveKitTarget(wanted.target, seats, trust)
        elif kind in ("whip", "whep"):
            target = WhipTarget(wanted.target, seats, trust, beside=wanted.beside)
        else:
            raise ValueError(
                f"{wanted.target} is neither livekit+wss://…, whip+https://…, whep+https://… "
                f"nor {SELF}"
            )
    except ValueError as error:
        raise BadRequest(str(error)) from None
    try:
        yield target
    finally:
        await target.close()


def _trust(wanted: Request) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=wanted.authority)
    if wanted.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _rows(wanted: Request) -> list[Row]:
    """Those whose ids begin so. Raises `BadRequest` for a beginning that none has."""
    if not wanted.rows:
        return list(ROWS)
    for beginning in wanted.rows:
        if not any(row.id.startswith(beginning) for row in ROWS):
            raise BadRequest(f"No row's id begins with {beginning}.")
    return [row for row in ROWS if row.id.startswith(wanted.rows)]


def _write(report: Report, wanted: Request, out: Console) -> None:
    for place, text in ((wanted.json, as_json(report)), (wanted.junit, as_junit(report))):
        if place == "-":
            out.file.write(text)
        elif place:
            Path(place).write_text(text)
    if "-" not in (wanted.json, wanted.junit):
        out.print(as_table(report))
        out.print(summary(report), markup=False)
