"""`python -m bench`: what forwarding costs us, a bare forwarder and Janus, in one run; as root."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import machine
from bench.arena import Arena, arena
from bench.chart import chart
from bench.contenders import COALESCE_US, NAMES, Name, NotMeasured, Started, contender, version
from bench.loadgen.dtls import PROFILES, SUITES
from bench.parts import Part, parts
from bench.program import TooFewCores, cores_apart, end_when_told
from bench.report import Report
from bench.run import BenchError, Run
from bench.scenarios import ALL, FULL, OURS, QUICK, QUICK_SCENARIOS, SCENARIOS, Plan, scenarios

RESULTS: Final = Path(__file__).parent / "results"
JOINS: Final = "joins"
JOINS_LOADED: Final = "joins-loaded"


def main() -> int:
    """Run; the process's exit status."""
    options = _options()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # a log is not wrapped
    progress = Console(stderr=True, highlight=False)
    end_when_told()
    try:
        return asyncio.run(_bench(options, console, progress))
    except (BenchError, TooFewCores, RuntimeError, ValueError, AssertionError, OSError) as error:
        progress.print(f"The bench failed. {error}", markup=False, style="bold red")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


async def _bench(options: argparse.Namespace, console: Console, progress: Console) -> int:
    plan = replace(QUICK if options.quick else FULL)
    plan = replace(plan, repeats=options.repeats or plan.repeats)
    starts, told = _contenders(options)
    now = datetime.datetime.now(datetime.UTC)
    report = Report(
        commit=machine.commit(),
        date=now.isoformat(timespec="seconds"),
        machine=machine.machine(),
        servers=told,
        quick=options.quick,
        suite=options.suite,
        window=plan.window,
        repeats=plan.repeats,
    )
    joins = [name for name in (JOINS, JOINS_LOADED) if name in options.scenarios and OURS in starts]
    planned = parts(
        scenarios([name for name in options.scenarios if name not in (JOINS, JOINS_LOADED)]),
        options.profiles,
        _ways(options),
    )
    planned = [part for part in planned if OURS in starts or not part.servers]
    _need_root()
    cores = cores_apart()
    with arena(*cores, steered=options.steered) as made:
        run = Run(made, starts, plan, options.suite)
        await _play(run, planned, joins, report, progress)
    report.show(console)
    stamp = f"{now:%Y-%m-%d}-{report.commit}.json"
    path = options.json or RESULTS / (stamp if _whole(options, plan) else f"partial-{stamp}")
    report.write(path)
    path.with_suffix(".svg").write_text(chart(report.loads))
    progress.print(f"[dim]written to {path} and its .svg[/]")
    return int(bool(report.failed))


async def _play(
    run: Run, planned: list[Part], joins: list[str], report: Report, progress: Console
) -> None:
    servers = len(run.starts)
    left = sum(part.seconds(run.plan, servers) for part in planned)
    begun = time.monotonic()
    for number, part in enumerate(planned, 1):
        passed = (time.monotonic() - begun) / 60
        progress.print(
            f"[dim]{passed:4.1f} min  {number}/{len(planned)} {part.names}, "
            f"about {left / 60:.0f} min to go[/]"
        )
        try:
            await run.part(part, report)
        except (BenchError, RuntimeError) as error:
            # The rest is worth having; the command fails at the end
            report.failed[part.names] = str(error)
            progress.print(f"{part.names} failed: {error}", markup=False, style="red")
        left -= part.seconds(run.plan, servers)
    for name in joins:
        progress.print(f"[dim]{name}[/]")
        if name == JOINS:
            await run.joins(OURS, Part((SCENARIOS[0],), "gcm", tells=False), report)
        else:  # with CM the relay works harder, the clients hardly
            await run.joins_loaded(OURS, Part((SCENARIOS[0],), "cm", tells=False), report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = [one.name for one in ALL] + [JOINS, JOINS_LOADED]
    parser.add_argument("--quick", action="store_true", help="less than two minutes, for CI")
    parser.add_argument("--scenarios", nargs="+", choices=known, metavar="NAME", help=str(known))
    parser.add_argument("--servers", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--profiles", nargs="+", choices=sorted(PROFILES), help="SRTP profiles")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--feedback", action="store_true", help="only receivers that give feedback")
    way.add_argument("--plain", action="store_true", help="only receivers that give none")
    parser.add_argument("--repeats", type=int, help="windows of each cell")
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0], help="DTLS suite")
    parser.add_argument("--versus", metavar="livekit=PATH", help="a livekit-server to run as well")
    parser.add_argument("--json", type=Path, help="where to write the result; the chart beside it")
    parser.add_argument(
        "--coalesce-us",
        type=int,
        default=COALESCE_US,
        metavar="N",
        help="ours runs with this media.coalesce_us, 0 to 1000; not the variants with two workers",
    )
    parser.add_argument(
        "--unsteered",
        dest="steered",
        action="store_false",
        help="what reaches clients is taken in on the servers' account",
    )
    options = parser.parse_args()
    if options.versus and not options.versus.startswith("livekit="):
        parser.error("--versus knows livekit=PATH")
    if options.repeats is not None and options.repeats < 1:
        parser.error("--repeats is 1 at least")
    options.scenarios = options.scenarios or (list(QUICK_SCENARIOS) if options.quick else known)
    options.profiles = options.profiles or (["gcm"] if options.quick else ["gcm", "cm"])
    return options


def _ways(options: argparse.Namespace) -> list[bool]:
    """Whether receivers give feedback: plain first."""
    if options.feedback:
        return [True]
    return [False] if options.plain or options.quick else [False, True]


def _whole(options: argparse.Namespace, plan: Plan) -> bool:
    return bool(
        plan == FULL
        and len(options.scenarios) > len(ALL) + 1
        and len(options.profiles) == len(PROFILES)
        and len(_ways(options)) == 2
        and len(options.servers) == len(NAMES)
        and options.steered
        and options.coalesce_us == COALESCE_US
    )


def _contenders(
    options: argparse.Namespace,
) -> tuple[dict[str, Callable[[Arena], Started]], dict[str, str]]:
    """How to start those that are here, and what each is or why it is not measured."""
    program = Path(options.versus.partition("=")[2]) if options.versus else None
    names: list[Name] = [name for name in NAMES if name in options.servers]
    if program is not None:
        names.append("livekit")
    starts: dict[str, Callable[[Arena], Started]] = {}
    told: dict[str, str] = {}
    for name in names:
        try:
            starts[name] = contender(name, program, options.coalesce_us)
            told[name] = version(name, program)
            if name == OURS and options.coalesce_us != COALESCE_US:
                told[name] += f", media.coalesce_us = {options.coalesce_us}"
        except NotMeasured as why:
            told[name] = f"not measured: {why}"
    if not starts:
        raise BenchError("none of these servers is here")
    return starts, told


def _need_root() -> None:
    """Raises BenchError."""
    if os.geteuid() != 0:
        raise BenchError("Network namespaces need root.")
    missing = [tool for tool in ("ip", "ss", "setpriv", "taskset") if shutil.which(tool) is None]
    if missing:
        packages = "Debian packages iproute2 and util-linux"
        raise BenchError(f"Not installed: {', '.join(missing)} ({packages}).")


if __name__ == "__main__":
    sys.exit(main())
