"""Plays the parts one after another: fresh servers, one generator against all of them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bench import machine
from bench.arena import Arena
from bench.contenders import Started, variant
from bench.ladders import Ladder
from bench.loadgen.servers import Server, described
from bench.parts import Part
from bench.report import Report
from bench.scenarios import LOADED, Joins, Plan
from bench.summary import join_times, load, memory_per_peer

PATIENCE: Final = 4.0
"""Times as long as a part takes as a rule, and a minute: then it is given up."""

Seen = dict[str, Any]


class BenchError(Exception):
    """A part could not be played."""


@dataclass(frozen=True, slots=True)
class Run:
    """What all parts have in common."""

    arena: Arena
    starts: Mapping[str, Callable[[Arena], Started]]  # by the servers' names
    plan: Plan
    suite: str

    async def part(self, part: Part, report: Report) -> None:
        """One part on all servers in turns. Raises BenchError, RuntimeError, OSError."""
        plan = part.plan(self.plan)
        async with AsyncExitStack() as stack:
            servers = {
                name: await stack.enter_async_context(self._start(name))
                for name in part.servers or self.starts
            }
            names = [one.name for one in part.scenarios]
            limit = 60 + PATIENCE * part.seconds(self.plan, len(servers))
            seen = await self._generate(servers, plan, names, part, limit)
        loads = [load(cell, part.profile, part.tells) for cell in seen["cells"]]
        if part.climbs:
            climb = [load(cell, part.profile, part.tells) for cell in seen["climb"]]
            profile = "" if part.profile == "gcm" else f" · {part.profile}"
            title = part.scenarios[0].title
            report.ladders.append(Ladder(names[0] + profile, title + profile, loads, climb))
        else:
            report.loads += loads
        report.places |= {
            f"{name}, {part.scenarios[0].title}": where for name, where in seen["places"].items()
        }
        for name, why in seen["failed"].items():
            report.failed[f"{name}, {part.names}"] = why
        for name, silent in seen["idle"].items():
            place = f"{name}, {part.scenarios[0].title}"
            report.idle_cpu[place] = silent["server_cpu"] / silent["seconds"]
            if name in seen["memory"]:
                report.memory_per_peer[place] = memory_per_peer(seen["memory"][name])

    def _start(self, name: str) -> Started:
        """One that takes part, or a variant of ours."""
        start = self.starts.get(name) or variant(name)
        return start(self.arena)

    async def joins(self, name: str, part: Part, report: Report) -> None:
        """People join one of the servers. Raises as `part`."""
        seen = await self._joins(name, part, self.plan.joins)
        report.joins = join_times(seen["joins"])
        report.memory_per_peer[f"{name}, {seen['joins']['rooms']} rooms of listeners"] = (
            memory_per_peer(seen["memory"])
        )

    async def joins_loaded(self, name: str, part: Part, report: Report) -> None:
        """People join it while it carries much else. Raises as `part`."""
        seen = await self._joins(name, part, LOADED)
        report.joins_loaded = join_times(seen["joins"])

    async def _joins(self, name: str, part: Part, joins: Joins) -> Seen:
        async with self.starts[name](self.arena) as server:
            limit = 90 + PATIENCE * joins.joins / joins.pace
            plan = replace(self.plan, joins=joins)
            return await self._generate({name: server}, plan, [], part, limit)

    async def _generate(
        self, servers: Mapping[str, Server], plan: Plan, names: list[str], part: Part, limit: float
    ) -> Seen:
        asked = {
            "servers": {name: described(server) for name, server in servers.items()},
            "scenarios": names,
            "plan": asdict(plan),
            "clients": {"profile": part.profile, "suite": self.suite, "tells": part.tells},
        }
        arena = self.arena
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "TERM"),
            *arena.people.command(*arena.on_people_core),
            *(sys.executable, "-m", "bench.loadgen"),
            cwd=machine.ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            told = process.communicate(json.dumps(asked).encode())
            out, errors = await asyncio.wait_for(told, limit)
        except TimeoutError:
            raise BenchError(f"{part.names}: not finished in {limit:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        sys.stderr.write(errors.decode(errors="replace"))
        if process.returncode:
            raise BenchError(f"{part.names}: the load generator gave up, see above")
        seen: Seen = json.loads(out)
        return seen
