"""`python -m bench.impair`: calls over bad networks, as the browsers in them saw it. Needs root.

IMPAIR_CASES=loss-5,delay-150 chooses cases; then docs/quality.md is left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.impair.cases import CASES, ROLES, Case, Role, chosen
from bench.impair.play import PICTURE_PATIENCE, NoPicture, call
from bench.impair.results import Results
from bench.link.running import LinkFailed
from tests.browser.driver import DriverError

RESULTS: Final = machine.ROOT / "bench" / "results" / "impair"
START_PATIENCE: Final = 150.0  # seconds for a server and two browsers, on a busy machine
FAILURES: Final = (
    DriverError,
    LinkFailed,
    NoPicture,
    RuntimeError,  # the server did not start
    AssertionError,  # a network could not be made
    TimeoutError,
)
Enter = Callable[[Case, dict[str, Any]], None]


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
    # Whoever stops us stops the browsers, the server and the link too, and frees the namespaces
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    whole = cases == CASES and tuple(options.roles) == ROLES
    name = f"{now:%Y-%m-%d}-{results.commit}.json"
    path = options.json or RESULTS / (name if whole else f"partial-{name}")
    asyncio.run(_play_all(results, cases, options.roles, path))
    if whole:
        results.page()
    print(results.tables())
    print(f"written to {path}", file=sys.stderr)
    return int(any("failed" in case for case in results.cases))


async def _play_all(
    results: Results, cases: tuple[Case, ...], roles: Sequence[Role], path: Path
) -> None:
    def enter(case: Case, outcome: dict[str, Any]) -> None:
        """Keep it at once: whoever ends a run of half an hour loses one case at most."""
        what = {"case": case.name, "says": case.says, "role": role}
        results.cases.append({**what, "schedule": case.schedule.written(), **outcome})
        results.write(path)

    for role in roles:
        waiting = list(cases)
        while waiting:
            left = len(waiting)
            try:
                async with asyncio.timeout(START_PATIENCE + _patience(waiting)):
                    await _play_in_one_call(waiting, role, results.seed, enter)
            except FAILURES as error:
                reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                print(f"  failed: {reason}", file=sys.stderr, flush=True)
                if len(waiting) == left:
                    enter(waiting.pop(0), {"failed": reason})
    order = [case.name for case in CASES]
    results.cases.sort(key=lambda entry: (order.index(entry["case"]), roles.index(entry["role"])))
    results.write(path)


async def _play_in_one_call(waiting: list[Case], role: Role, seed: str, enter: Enter) -> None:
    """Play what is waiting until nothing is, or the call did not survive a case."""
    async with call(role, seed=seed) as running:
        while waiting:
            case = waiting[0]
            print(f"{case.name}, {role} …", file=sys.stderr, flush=True)
            async with asyncio.timeout(_patience([case])):
                played = await running.play(case)
            waiting.pop(0)
            enter(case, played.written())
            if not played.survived:
                return


def _patience(cases: Sequence[Case]) -> float:
    return sum(2 * case.seconds + PICTURE_PATIENCE + 10 for case in cases)


if __name__ == "__main__":
    sys.exit(main())
