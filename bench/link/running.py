"""A link in a process of its own, from the side of whoever uses it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bench.link.conditions import PERFECT, Conditions, Schedule
from bench.link.model import Tally
from bench.link.pump import Lateness
from bench.machine import ROOT

PATIENCE: Final = 10.0  # seconds for an answer


class LinkFailed(Exception):
    """The link's process ended, refused what it was told, or does not answer."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a link has carried since it was started."""

    at: int
    """Monotonic nanoseconds."""
    cpu: float
    """Seconds of processor time."""
    lateness: Lateness
    up: Tally
    down: Tally


@dataclass
class Link:
    """A link that runs. It is perfect until `begin`."""

    facts: dict[str, Any]
    process: asyncio.subprocess.Process = field(repr=False)

    @property
    def port(self) -> int:
        """Where a relay listens, on 127.0.0.1."""
        return int(self.facts["port"])

    async def begin(self, *, up: Schedule | None = None, down: Schedule | None = None) -> int:
        """Start schedules now; the moment in monotonic nanoseconds. Raises LinkFailed."""
        perfect = Schedule.always(PERFECT)
        begin = {"up": (up or perfect).written(), "down": (down or perfect).written()}
        return int((await self.ask({"begin": begin}))["began"])

    async def be(self, *, up: Conditions = PERFECT, down: Conditions = PERFECT) -> int:
        """`begin` with conditions that do not change."""
        return await self.begin(up=Schedule.always(up), down=Schedule.always(down))

    async def told(self) -> Told:
        """What it has carried. Raises LinkFailed."""
        said = await self.ask({"tell": True})
        lateness = Lateness(**said["lateness"])
        return Told(said["at"], said["cpu"], lateness, Tally(**said["up"]), Tally(**said["down"]))

    async def ask(self, what: dict[str, Any]) -> dict[str, Any]:
        """One line to the link's process, and its answer. Raises LinkFailed."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(what).encode() + b"\n")
            await self.process.stdin.drain()
        except ConnectionError:
            raise LinkFailed("the link ended") from None
        return await _answer(self.process)


@asynccontextmanager
async def relayed(port: int, *, seed: str = "1") -> AsyncIterator[Link]:
    """A UDP relay before 127.0.0.1:`port`. Raises LinkFailed."""
    async with _running("relay", "--to", f"127.0.0.1:{port}", "--seed", seed) as link:
        yield link


@asynccontextmanager
async def tunnelled(near: str, far: str, *, seed: str = "1") -> AsyncIterator[Link]:
    """Interfaces `net` in two namespaces, joined; addresses are given by the caller."""
    async with _running("tun", "--near", near, "--far", far, "--seed", seed) as link:
        yield link


@asynccontextmanager
async def _running(*words: str) -> AsyncIterator[Link]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.link", *words),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Link((await _answer(process))["ready"], process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    except TimeoutError:
        raise LinkFailed(f"the link did not answer in {PATIENCE:.0f} s") from None
    if not line:
        raise LinkFailed("the link ended")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise LinkFailed(answer["error"])
    return answer
