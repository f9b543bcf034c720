"""Runs rows against a target: an honest client first, then all rows, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sfu.probe.lab import Lab
from sfu.probe.policy import Policy
from sfu.probe.row import Blocked, Observation, Overdue, Postponed, Row, Untested, Verdict, judge
from sfu.probe.rows.baseline import HONEST
from sfu.probe.targets import DescriptionRefused, Seat, Target

ALL_PASS: Final = 0
FALLS_SHORT: Final = 1
COULD_NOT_TEST: Final = 2

Progress = Callable[[Verdict], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a run may take."""

    seconds: float = 600.0
    rows_at_once: int = 12


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run."""

    target: str
    policy: str
    rows: tuple[Verdict, ...]
    let_in: bool  # an honest client was
    blocked: int  # rows that the target's absence, or time, kept from saying anything

    def count(self, result: str) -> int:
        return sum(row.result == result for row in self.rows)

    @property
    def exit_code(self) -> int:
        """1 when a row fails; 2 when none does but rows were blocked, or an honest client was; else
        0. Rows untested because of what OpenSSL or the target's kind cannot do change nothing.
        """
        if not self.let_in:
            return COULD_NOT_TEST
        if self.count("fail"):
            return FALLS_SHORT
        return COULD_NOT_TEST if self.blocked else ALL_PASS


async def probe(
    target: Target,
    policy: Policy,
    rows: Sequence[Row],
    progress: Progress = lambda _: None,
    bounds: Bounds = Bounds(),
    honest: Row = HONEST,
) -> Report:
    """Run `rows` and report them in their order. `honest` runs first: where an honest client does
    not get in, refusals prove nothing, and all others are untested.
    """
    run = _Run(target, policy, bounds)
    await run.row(honest, progress)
    rest = [row for row in rows if row.id != honest.id]
    let_in = run.verdicts[honest.id].result == "pass"
    if let_in:
        longest_first = sorted(rest, key=lambda row: row.seconds, reverse=True)
        await asyncio.gather(*(run.row(row, progress) for row in longest_first))
    else:
        for row in rest:
            run.settle(row, Blocked("an honest client did not get in"), progress)
    order = [honest.id, *(row.id for row in rest)]
    verdicts = tuple(run.verdicts[each] for each in order)
    return Report(target.name, policy.name, verdicts, let_in, run.blocked)


class _Run:
    def __init__(self, target: Target, policy: Policy, bounds: Bounds) -> None:
        self._target = target
        self._policy = policy
        self._deadline = time.monotonic() + bounds.seconds
        self._slots = asyncio.Semaphore(bounds.rows_at_once)
        self._seats = _Seats(target.seats)
        self.verdicts: dict[str, Verdict] = {}
        self.blocked = 0

    async def row(self, row: Row, progress: Progress) -> None:
        """Run one row when its turn comes."""
        if not self._seats.fit(row.peers):
            why = f"it needs {row.peers} tokens of different people in one room"
            self.settle(row, Untested(why), progress)
            return
        async with self._slots, self._seats.reserved(row.peers) as seats:
            seen = await self._patiently(row, seats)
            if self._may_be_of_haste(row, seen):
                seen = await self._patiently(row, seats)
        self.settle(row, seen, progress)

    def settle(self, row: Row, seen: Observation | Untested, progress: Progress) -> None:
        """Judge it and tell."""
        verdict = judge(row, self._policy, seen)
        self.verdicts[row.id] = verdict
        self.blocked += isinstance(seen, Blocked)
        progress(verdict)

    def _may_be_of_haste(self, row: Row, seen: Observation | Untested) -> bool:
        """Whether a machine too busy to answer in time may look so: not a weak server yet."""
        if isinstance(seen, Observation):
            return seen.silent and judge(row, self._policy, seen).result == "fail"
        return isinstance(seen, Overdue)

    async def _patiently(self, row: Row, seats: tuple[Seat, ...]) -> Observation | Untested:
        """Again, as long as the target asks for it and there is time."""
        while True:
            seen = await self._observe(row, seats)
            left = self._deadline - time.monotonic()
            if not isinstance(seen, Postponed) or seen.seconds >= left:
                return seen
            await asyncio.sleep(seen.seconds)

    async def _observe(self, row: Row, seats: tuple[Seat, ...]) -> Observation | Untested:
        left = self._deadline - time.monotonic()
        if left <= 0:
            return Blocked("the run's time was over")
        try:
            async with asyncio.timeout(min(row.seconds, left)):
                return await row.run(Lab(self._policy, self._target, seats))
        except Untested as why:
            return why
        except DescriptionRefused as refused:
            return Untested(f"the offer was refused: {refused}")
        except TimeoutError:
            return Overdue("it did not end in its time")
        except OSError as error:
            return Blocked(f"the network: {error.strerror or type(error).__name__}")
        except Exception as error:  # noqa: BLE001 - one row's bug must not end the run; it is shown
            return Blocked(f"the probe itself failed: {type(error).__name__}: {error}")


class _Seats:
    """Hands out seats. Several at once are of one room, in which nobody else sits then."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self._free = list(seats)
        self._rooms = _by_room(seats)
        self._changed = asyncio.Condition()

    def fit(self, count: int) -> bool:
        """Whether so many can ever be had."""
        return any(len(room) >= count for room in self._rooms.values())

    @asynccontextmanager
    async def reserved(self, count: int) -> AsyncIterator[tuple[Seat, ...]]:
        """So many seats of one room, for the time of the block."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._find(count)))
            taken = self._find(count)
            for seat in taken:
                self._free.remove(seat)
        try:
            yield tuple(taken[:count])
        finally:
            async with self._changed:
                self._free += taken
                self._changed.notify_all()

    def _find(self, count: int) -> list[Seat]:
        """One seat out of the emptiest room, or a whole room; nothing while there is none."""
        free = sorted(_by_room(self._free).items(), key=lambda room: len(room[1]), reverse=True)
        if count == 1:
            return free[0][1][:1] if free else []
        whole = (seats for name, seats in free if len(seats) == len(self._rooms[name]))
        return next((seats for seats in whole if len(seats) >= count), [])


def _by_room(seats: Sequence[Seat]) -> dict[str, list[Seat]]:
    rooms: dict[str, list[Seat]] = {}
    for seat in seats:
        rooms.setdefault(seat.room, []).append(seat)
    return rooms
