"""`python -m bench.churn [--joins 10000]`: people join and leave; nothing of them may stay."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from bench.churn.crowd import Crowd
from bench.churn.remains import Look, faults, look
from bench.loadgen.servers import LiveKitServer
from bench.program import TooFewCores, cores_apart, end_when_told
from bench.server import ServerFailed, running

LOOKS: Final = 10
"""Between the rounds, when nobody is there."""
CALM_PATIENCE: Final = 30.0
"""Seconds for what people left behind to go."""


def main() -> int:
    """Run; 0 when nothing is wrong, 1 when something stays, 2 when it could not be told."""
    parser = argparse.ArgumentParser(prog="python -m bench.churn", description=__doc__)
    parser.add_argument("--joins", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=12, help="who join or leave at a time")
    parser.add_argument("--seconds", type=float, default=1500.0, help="then it is given up")
    options = parser.parse_args()
    end_when_told()
    console = Console(highlight=False)
    try:
        ours, theirs = cores_apart()
        with running(ours) as server:
            os.sched_setaffinity(0, {theirs})
            seen = uvloop.run(_within(options.seconds, server, options, console))
    except (TooFewCores, ServerFailed, TimeoutError) as error:
        print(error or "It took too long.", file=sys.stderr)
        return 2
    wrong = faults(seen)
    for fault in wrong:
        console.print(f"[red]wrong[/] {fault}")
    return 1 if wrong else 0


async def _within(
    seconds: float, server: LiveKitServer, options: argparse.Namespace, console: Console
) -> list[Look]:
    async with asyncio.timeout(seconds):
        return await churn(server, options.joins, options.at_once, console)


async def churn(server: LiveKitServer, joins: int, at_once: int, console: Console) -> list[Look]:
    """So many joins and leaves in `LOOKS` rounds; what was there before, and after each round."""
    crowd = Crowd(server)
    seen = [await calm(server)]
    for number in range(LOOKS):
        share = joins * (number + 1) // LOOKS - joins * number // LOOKS
        await crowd.come_and_go(share, at_once)
        seen.append(await calm(server))
        now = seen[-1]
        console.print(
            f"{crowd.joined:6d} joins  {now.resident / 1e6:6.1f} MB  {now.descriptors} descriptors"
            f"  {now.threads} threads  left: {now.left or 'nothing'}"
        )
    return seen


async def calm(server: LiveKitServer) -> Look:
    """A look at the server once nobody is left, or after a while."""
    loop = asyncio.get_running_loop()
    until = loop.time() + CALM_PATIENCE
    while True:
        seen = await look(server, Path("/proc"))
        if not seen.left or loop.time() > until:
            return seen
        await asyncio.sleep(0.25)


if __name__ == "__main__":
    sys.exit(main())
