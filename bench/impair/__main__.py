"""`python -m bench.impair`: calls over bad networks, as the browsers in them saw it. Needs root.

IMPAIR_CASES=loss-5,delay-150 chooses cases; then docs/quality.md is left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.impair.cases import CASES, ROLES, Case, Role, chosen
from bench.impair.play import play
from bench.impair.results import Results
from bench.link.running import LinkFailed
from tests.browser.driver import DriverError

RESULTS: Final = machine.ROOT / "bench" / "results" / "impair"
START_PATIENCE: Final = 90.0  # seconds for a case's server and browsers, on a busy machine


def main() -> int:
    """Run; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.impair", description=__doc__)
    parser.add_argument("--cases", default=os.environ.get("IMPAIR_CASES", ""))
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=ROLES)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--page-only", type=Path, metavar="JSON", help="make the page from this")
    options = parser.parse_args()
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
    )
    asyncio.run(_play_all(results, cases, options.roles))
    whole = cases == CASES and tuple(options.roles) == ROLES
    name = f"{now:%Y-%m-%d}-{results.commit}.json"
    path = options.json or RESULTS / (name if whole else f"partial-{name}")
    results.write(path)
    if whole:
        results.page()
    print(results.tables())
    print(f"written to {path}", file=sys.stderr)
    return int(any("failed" in case for case in results.cases))


async def _play_all(results: Results, cases: tuple[Case, ...], roles: tuple[Role, ...]) -> None:
    for case in cases:
        for role in roles:
            print(f"{case.name}, {role} …", file=sys.stderr, flush=True)
            results.cases.append(
                {
                    "case": case.name,
                    "says": case.says,
                    "role": role,
                    "schedule": case.schedule.written(),
                    **await _outcome(case, role, results.seed),
                }
            )


async def _outcome(case: Case, role: Role, seed: str) -> dict[str, Any]:
    """What was seen, or why it could not be: one case that fails does not end the others."""
    try:
        async with asyncio.timeout(case.seconds + START_PATIENCE):
            return (await play(case, role, seed=seed)).written()
    except (DriverError, LinkFailed, RuntimeError, TimeoutError, AssertionError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        print(f"  failed: {reason}", file=sys.stderr)
        return {"failed": reason}


if __name__ == "__main__":
    sys.exit(main())
