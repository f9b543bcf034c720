"""Plays acts one after the other, keeps every result at once, and goes on when one breaks."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.impair.bystander import bystander
from bench.impair.cases import Case, Role
from bench.impair.plan import BETWEEN, START_PATIENCE, Act, patience, seconds
from bench.impair.play import NoPicture, call
from bench.impair.results import Results
from bench.impair.screen import shared
from bench.impair.venues import Server
from bench.link.running import LinkFailed
from tests.browser.driver import DriverError

FAILURES: Final = (
    DriverError,
    LinkFailed,
    NoPicture,
    RuntimeError,  # the server did not start, or was not joined
    AssertionError,  # a network could not be made
    TimeoutError,
)


@dataclass
class Run:
    """Plays, until all is played or the time is over."""

    results: Results
    path: Path
    """Where the results are kept."""
    budget: float
    """Seconds: what has not begun by then is entered as such."""
    _began: float = field(default_factory=time.monotonic)

    async def play(self, planned: Sequence[Act]) -> None:
        """All acts that have no result yet. Never raises for one that breaks."""
        left = list(planned)
        while left:
            act = left.pop(0)
            self._say(f"{act} ({_minutes(act.seconds + seconds(left))} to go)")
            if act.kind == "cases":
                await self._cases(act)
            elif not self._has(act):
                await self._single(act)

    async def _cases(self, act: Act) -> None:
        waiting = [case for case in act.cases if not self._played(act.server, case, act.role)]
        while waiting:
            left = len(waiting)
            if self._is_over(waiting[0].seconds + BETWEEN):
                for case in waiting:
                    self._enter_case(case, act, {"failed": "not measured: the time was over"})
                return
            try:
                async with asyncio.timeout(START_PATIENCE + patience(waiting)):
                    await self._in_one_call(waiting, act)
            except FAILURES as error:
                reason = _reason(error)
                self._say(f"  failed: {reason}")
                if len(waiting) == left:
                    self._enter_case(waiting.pop(0), act, {"failed": reason})

    async def _in_one_call(self, waiting: list[Case], act: Act) -> None:
        """Play what is waiting until nothing is, or the call did not survive a case."""
        async with call(act.role, server=act.server, seed=self.results.seed) as running:
            while waiting and not self._is_over(waiting[0].seconds + BETWEEN):
                case = waiting[0]
                self._say(f"  {case.name}")
                async with asyncio.timeout(patience([case])):
                    played = await running.play(case)
                waiting.pop(0)
                self._enter_case(case, act, played.written())
                if not played.survived:
                    return

    async def _single(self, act: Act) -> None:
        entry: dict[str, Any] = {"server": act.server}
        seed = self.results.seed
        if self._is_over(act.seconds):
            entry["failed"] = "not measured: the time was over"
        else:
            try:
                async with asyncio.timeout(act.patience):
                    if act.kind == "share":
                        entry["seen"] = (await shared(act.server, seed=seed)).written()
                    else:
                        entry["seen"] = (await bystander(act.server, seed=seed)).written()
            except FAILURES as error:
                entry["failed"] = _reason(error)
                self._say(f"  failed: {entry['failed']}")
        self._entries(act).append(entry)
        self.results.write(self.path)

    def _enter_case(self, case: Case, act: Act, outcome: dict[str, Any]) -> None:
        """Keep it at once: whoever ends a run of half an hour loses one case at most."""
        self.results.cases.append(
            {
                "server": act.server,
                "case": case.name,
                "says": case.says,
                "role": act.role,
                "schedule": case.schedule.written(),
                **outcome,
            }
        )
        self.results.write(self.path)

    def _played(self, server: Server, case: Case, role: Role) -> bool:
        entry = self.results.entry(server, case.name, role)
        return entry is not None and "failed" not in entry

    def _has(self, act: Act) -> bool:
        return any(each["server"] == act.server and "seen" in each for each in self._entries(act))

    def _entries(self, act: Act) -> list[dict[str, Any]]:
        return self.results.shares if act.kind == "share" else self.results.bystanders

    def _is_over(self, more: float) -> bool:
        return time.monotonic() - self._began + more > self.budget

    def _say(self, what: str) -> None:
        elapsed = time.monotonic() - self._began
        print(f"[{elapsed / 60:4.1f} min] {what}", file=sys.stderr, flush=True)


def _reason(error: BaseException) -> str:
    lines = f"{type(error).__name__}: {error}".splitlines()
    return lines[0][:200].replace("|", "/")


def _minutes(length: float) -> str:
    return f"{length / 60:.0f} min" if length >= 90 else f"{length:.0f} s"
