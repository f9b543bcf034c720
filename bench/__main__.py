"""`python -m bench [scenario …] [--quick] [--json PATH]`: what serving costs, measured."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench import machine
from bench.loadgen.dtls import PROFILES, SUITES
from bench.report import Report
from bench.scenarios import FULL, QUICK, Plan, scenario
from bench.server import ServerFailed, running
from bench.summary import join_times, load, memory_per_peer

RESULTS: Final = Path(__file__).parent / "results"
SCENARIO_PATIENCE: Final = 240.0  # seconds


class BenchError(Exception):
    """A scenario could not be played."""


def main() -> int:
    """Run; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [one.name for one in FULL.scenarios]
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="less than a minute, for CI")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="gcm", help="SRTP profile")
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0], help="DTLS suite")
    parser.add_argument(
        "--feedback",
        action="store_true",
        help="receivers give transport-wide feedback and ask for lost packets",
    )
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 150  # a log is not wrapped
    progress = Console(stderr=True, highlight=False)
    now = datetime.datetime.now(datetime.UTC)
    report = Report(
        commit=machine.commit(),
        date=now.isoformat(timespec="seconds"),
        machine=machine.machine(),
        quick=options.quick,
        profile=PROFILES[options.profile].openssl,
        suite=options.suite,
        feedback=options.feedback,
        window=plan.window,
        repeats=plan.repeats,
    )
    # Whoever stops us stops the server and the generator too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        chosen = [scenario(plan, name).name for name in options.scenarios or names]
        cores = _cores()
        for name in chosen:
            progress.print(f"[dim]{name} …[/]")
            _enter(report, name, _play(plan, name, options, cores))
    except (BenchError, ServerFailed, ValueError) as error:
        progress.print(f"[bold red]The bench failed.[/] {error}", markup=True)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    report.show(console)
    stamp = f"{now:%Y-%m-%d}-{report.commit}.json"
    path = options.json or RESULTS / (f"quick-{stamp}" if options.quick else stamp)
    report.write(path)
    progress.print(f"[dim]written to {path}[/]")
    return 0


def _cores() -> tuple[int, int]:
    """One core for the server, another for its clients. Raises BenchError."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("Server and clients need a core each; this process may use only one.")
    return cores[0], cores[1]


def _play(
    plan: Plan, name: str, options: argparse.Namespace, cores: tuple[int, int]
) -> dict[str, Any]:
    """One scenario: a fresh server, a fresh generator. Raises BenchError, ServerFailed."""
    words = [sys.executable, "-m", "bench.loadgen", name]
    words += ["--profile", options.profile, "--suite", options.suite]
    if options.feedback:
        words.append("--feedback")
    if plan is QUICK:
        words.append("--quick")
    with running(cores[0]) as server:
        try:
            done = subprocess.run(
                words,
                cwd=machine.ROOT,
                input=json.dumps(asdict(server)),
                capture_output=True,
                text=True,
                timeout=SCENARIO_PATIENCE,
                preexec_fn=lambda: os.sched_setaffinity(0, {cores[1]}),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{name}: not finished in {SCENARIO_PATIENCE:.0f} s") from None
    if done.stderr:
        sys.stderr.write(done.stderr)
    if done.returncode:
        raise BenchError(f"{name}: the load generator gave up, see above")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def _enter(report: Report, name: str, seen: dict[str, Any]) -> None:
    report.memory_per_peer[name] = memory_per_peer(seen["memory"])
    if "joins" in seen:
        report.joins = join_times(seen["joins"])
    if idle := seen.get("idle"):
        report.idle_cpu[name] = idle["server_cpu"] / idle["seconds"]
    for cell in seen.get("cells", ()):
        report.loads.append(load(name, cell))


if __name__ == "__main__":
    sys.exit(main())
