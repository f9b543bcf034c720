"""`python -m bench.soak [--minutes 20] [--load 0.6]`: churn at a steady load, memory watched."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.loadgen.dtls import PROFILES
from bench.loadgen.metrics import admin_page, parse
from bench.loadgen.servers import LiveKitServer
from bench.process import cpu_nanoseconds, resident_bytes
from bench.program import TooFewCores, cores_apart, end_when_told
from bench.server import ServerFailed, running
from bench.soak.crowd import Crowd
from bench.soak.steering import Steering
from bench.soak.verdict import Sample, Verdict

LOOK_EVERY: Final = 5.0  # seconds
WARM_UP: Final = 30.0  # seconds in which the rate finds the load
CALM_PATIENCE: Final = 60.0  # seconds for what people had begun
EMPTY_PATIENCE: Final = 60.0  # seconds for what people left behind to go
CORRECT_AFTER: Final = 6  # samples: churn alone makes one differ from the next by a third
_GAUGES: Final = ("rooms", "participants", "peers", "tracks", "downtracks")


def main() -> int:
    """Run; 0 when nothing is wrong, 1 when something is, 2 when it could not be told."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--load", type=float, default=0.6, help="of the server's core")
    parser.add_argument("--rooms", type=int, default=4)
    parser.add_argument("--audience", type=int, default=10, help="who stays, in each room")
    parser.add_argument(
        "--onlookers", type=int, default=60, help="who stays too, and looks at few packets"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="gcm", help="SRTP profile")
    parser.add_argument("--json", type=Path, help="where to write what was seen")
    options = parser.parse_args()
    end_when_told()
    console = Console(stderr=True, highlight=False)
    try:
        ours, theirs = cores_apart()
        with running(ours) as server:
            os.sched_setaffinity(0, {theirs})
            verdict = uvloop.run(_soak(server, options, console))
    except (TooFewCores, ServerFailed) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        seen = {"commit": machine.commit(), **asdict(verdict)}
        options.json.write_text(json.dumps(seen, indent=1) + "\n")
    _show(verdict, Console(highlight=False))
    return 1 if verdict.faults else 0


async def _soak(server: LiveKitServer, options: argparse.Namespace, console: Console) -> Verdict:
    crowd = Crowd(server, options.profile, options.seed)
    await crowd.settle(options.rooms, options.audience, options.onlookers)
    lives = [asyncio.create_task(crowd.live(room)) for room in crowd.rooms]
    try:
        steering = Steering(crowd, options.load)
        await _find_load(server, steering, min(WARM_UP, 20 * options.minutes), console)
        samples = await _watch(server, crowd, steering, 60 * options.minutes, lives, console)
    finally:
        # Not by cancelling: a join under way would leave somebody half in a room.
        crowd.calm()
        await asyncio.wait(lives, timeout=CALM_PATIENCE)
    failures, lost = crowd.failures(), crowd.lost()
    await crowd.leave()
    left = await _emptied(server)
    relay = parse(await admin_page(server.host, server.admin_port))
    verdict = Verdict(samples, dict(crowd.did), relay, left, lost)
    verdict.judge(failures)
    return verdict


async def _find_load(
    server: LiveKitServer, steering: Steering, seconds: float, console: Console
) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        used = _Used(server)
        await asyncio.sleep(min(3.0, seconds / 3))
        load, busy = used.loads()
        rate = f"{steering.rate:.0f} packets a second each"
        console.print(f"{rate}: load {load:.2f}, generator {busy:.2f}")
        steering.correct(load, busy, most=2.0)


async def _watch(
    server: LiveKitServer,
    crowd: Crowd,
    steering: Steering,
    seconds: float,
    lives: Sequence[asyncio.Task[None]],
    console: Console,
) -> list[Sample]:
    samples: list[Sample] = []
    begin = time.monotonic()
    used, since_correction = _Used(server), _Used(server)
    every = min(LOOK_EVERY, seconds / 16)
    while (at := time.monotonic() - begin) < seconds:
        await asyncio.sleep(every)
        for life in lives:
            if life.done():
                life.result()  # raises what ended it
        load, _ = used.loads()
        people = sum(room.people for room in crowd.rooms)
        samples.append(Sample(at + every, resident_bytes(server.pid), load, people))
        if len(samples) % CORRECT_AFTER == 0:
            steering.correct(*since_correction.loads(), most=1.25)
        if len(samples) % 12 == 1:
            console.print(
                f"{(at + every) / 60:5.1f} min  {samples[-1].resident / (1 << 20):6.1f} MiB  "
                f"load {load:.2f}  {people} people"
            )
    return samples


class _Used:
    """Processor time of the server and of ourselves since the last look."""

    def __init__(self, server: LiveKitServer) -> None:
        self._pid = server.pid
        self._last = self._now()

    def loads(self) -> tuple[float, float]:
        """Of a core each: the server's load, and ours."""
        before, self._last = self._last, self._now()
        clock, server, own = (b - a for a, b in zip(before, self._last, strict=True))
        return server / clock, own / clock

    def _now(self) -> tuple[int, int, int]:
        return time.monotonic_ns(), cpu_nanoseconds(self._pid), time.process_time_ns()


async def _emptied(server: LiveKitServer) -> dict[str, int]:
    """The gauges once they are all 0, or after a while."""
    until = time.monotonic() + EMPTY_PATIENCE
    while True:
        left = _gauges(await admin_page(server.host, server.admin_port))
        if not any(left.values()) or time.monotonic() > until:
            return left
        await asyncio.sleep(0.5)


def _gauges(page: str) -> dict[str, int]:
    found = {}
    for name in _GAUGES:
        line = re.search(rf"^conclave_{name} (\S+)$", page, re.MULTILINE)
        found[name] = int(float(line[1])) if line else -1
    return found


def _show(verdict: Verdict, console: Console) -> None:
    loads = [sample.load for sample in verdict.samples]
    memory = [sample.resident / (1 << 20) for sample in verdict.samples]
    table = Table(title=f"{verdict.samples[-1].at / 60:.1f} minutes", title_justify="left")
    table.add_column("what")
    table.add_column("how much", justify="right")
    table.add_row("load of a core, mean", f"{sum(loads) / len(loads):.2f}")
    table.add_row("memory, first to last", f"{memory[0]:.1f} to {memory[-1]:.1f} MiB")
    growth = verdict.growth()
    told = "too short to tell" if growth is None else f"{100 * growth:+.1f} %"
    table.add_row("growth after the first quarter", told)
    for name, count in sorted(verdict.did.items()):
        table.add_row(f"somebody {name}", str(count))
    table.add_row("packets out", f"{verdict.relay['rtp_out']:,}")
    table.add_row("lost by those who stay", f"{verdict.lost:,}")
    console.print(table)
    for fault in verdict.faults:
        console.print(f"[red]wrong[/] {fault}")


if __name__ == "__main__":
    sys.exit(main())
