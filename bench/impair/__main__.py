"""`python -m bench.impair`: calls over bad networks, as the browsers in them saw it. Needs root.

IMPAIR_CASES=loss-5,delay-150 chooses cases; then docs/quality.md is left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench import machine
from bench.impair.cases import CASES, ROLES, chosen
from bench.impair.plan import acts, seconds
from bench.impair.results import Results
from bench.impair.run import Run
from bench.impair.venues import SERVERS
from bench.program import end_when_told
from bench.versus.janus.server import program as janus_program
from tests.browser.installed import program

KINDS: Final = ("cases", "share", "bystander")
RESULTS: Final = machine.ROOT / "bench" / "results" / "impair"


def main() -> int:
    """Run; the process's exit status."""
    options = _options()
    if options.page_only:
        Results.load(options.page_only).page()
        return 0
    try:
        cases = chosen(options.cases)
    except KeyError as error:
        known = ", ".join(case.name for case in CASES)
        print(f"There is no case {error}; there are: {known}", file=sys.stderr)
        return 2
    now = datetime.datetime.now(datetime.UTC)
    results = Results(
        commit=machine.commit(),
        date=now.isoformat(timespec="seconds"),
        machine=asdict(machine.machine()),
        seed=options.seed,
        versions=_versions(),
    )
    if options.resume:
        before = _resumed(results, options.resume)
        if before is None:
            return 2
        results = before
    servers = [one for one in options.servers if results.versions.get(one) != "missing"]
    if "janus" in options.servers and "janus" not in servers:
        print("Janus is not installed (Debian package janus): not measured.", file=sys.stderr)
    planned = acts(cases, options.roles, servers, options.kinds)
    chosen_all = (cases, *map(tuple, (options.roles, options.servers, options.kinds)))
    whole = chosen_all == (CASES, ROLES, SERVERS, KINDS)
    name = f"{now:%Y-%m-%d}-{results.commit}.json"
    path = options.resume or options.json or RESULTS / (name if whole else f"partial-{name}")
    told = f"{seconds(planned) / 60:.0f} minutes as a rule, {options.minutes:.0f} at most"
    print(f"{told}; kept in {path} case by case, --resume goes on from there", file=sys.stderr)
    end_when_told()
    asyncio.run(Run(results, path, options.minutes * 60).play(planned))
    if whole:
        results.page()
    print(results.tables())
    entries = (*results.cases, *results.shares, *results.bystanders)
    return int(any("failed" in entry for entry in entries))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.impair", description=__doc__)
    parser.add_argument("--cases", default=os.environ.get("IMPAIR_CASES", ""))
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=ROLES)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", default="1")
    parser.add_argument(
        "--minutes", type=float, default=35.0, help="what has not begun by then is not"
    )
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--resume", type=Path, metavar="JSON", help="play what this has not")
    parser.add_argument("--page-only", type=Path, metavar="JSON", help="make the page from this")
    return parser.parse_args()


def _resumed(fresh: Results, path: Path) -> Results | None:
    """What was played before of the same commit; None where that cannot go on."""
    before = Results.load(path)
    if (before.commit, before.seed) != (fresh.commit, fresh.seed):
        said = f"{path} is of commit {before.commit} and seed {before.seed}"
        print(f"{said}, not of {fresh.commit} and {fresh.seed}.", file=sys.stderr)
        return None
    # What failed is played again, and told once
    for entries in (before.cases, before.shares, before.bystanders):
        entries[:] = [entry for entry in entries if "failed" not in entry]
    before.versions = fresh.versions
    return before


def _versions() -> dict[str, str]:
    found = {"browser": _first_line(program("chromium"), "--version"), "janus": "missing"}
    if (janus := janus_program()) is not None:
        said = _first_line(janus, "--version")
        number = re.search(r"\d+\.\d+\.\d+", said)
        found["janus"] = f"Janus {number[0]}" if number else said
    return found


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0] if lines else "unknown"


if __name__ == "__main__":
    sys.exit(main())
