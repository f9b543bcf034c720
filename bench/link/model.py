"""One direction of a bad link, without sockets or a clock: what happens to the nth packet.

Times are nanoseconds of whatever clock the caller has. What is decided about a packet depends on
the seed, the packet's number, the conditions and, for the queue and ordered jitter, its time: the
same packets at the same times fare the same. Each effect draws from chances of its own, and
for every packet, whether it applies or not: changing the delay does not change which packets
are lost.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from bench.link.conditions import MS, SECOND, Conditions, Schedule

MAX_IN_FLIGHT: Final = 16_384
"""Packets on their way at once: 300 ms at 500 Mbit/s. More are dropped, counted as `crowded`."""
JITTER_STEP: Final = 20 * MS
"""Ordered jitter: the delay takes a new value this often, or less often where it varies more."""


@dataclass(slots=True)
class Tally:
    """Packets so far. Each that was offered has overflowed, is lost, or crowded, or sent on."""

    offered: int = 0
    offered_bytes: int = 0
    overflowed: int = 0
    """Dropped because the queue before the rate was full."""
    lost: int = 0
    crowded: int = 0
    """Dropped because MAX_IN_FLIGHT were on their way: the link's own fault, 0 in a sound run."""
    held_back: int = 0
    duplicated: int = 0
    delivered: int = 0
    """Copies included."""
    delivered_bytes: int = 0


class Pipe:
    """One direction. Offer packets as they come, poll what is due, wake up again at `due()`."""

    def __init__(self, seed: str, schedule: Schedule | None = None, began: int = 0) -> None:
        self.tally = Tally()
        self._flight: list[tuple[int, int, bytes]] = []
        self._number = 0
        self._line = _Line()
        self._seed = seed
        self._began = began
        self.begin(began, schedule or Schedule())

    def begin(self, now: int, schedule: Schedule) -> None:
        """Start a schedule, and all chances afresh; what is on its way arrives as it would have."""
        self._line.shift(now - self._began)
        self._began, self._schedule = now, schedule
        self._loss, self._bursts, self._jitter, self._reorder, self._copies = (
            random.Random(f"{self._seed}/{effect}")
            for effect in ("loss", "bursts", "jitter", "reorder", "copies")
        )
        self._bad = False
        self._wander = _Wander(f"{self._seed}/wander")
        self._latest = 0

    def offer(self, now: int, packet: bytes, overhead: int = 0) -> None:
        """Take a packet that came at `now`; on the wire it is `overhead` bytes longer."""
        size = len(packet) + overhead
        elapsed = now - self._began
        conditions = self._schedule.at(elapsed)
        self.tally.offered += 1
        self.tally.offered_bytes += size
        lost = self._draw_loss(conditions)
        delay = self._draw_delay(elapsed, conditions)
        held_back = self._reorder.random() < conditions.reorder
        copies = 2 if self._copies.random() < conditions.duplicate else 1
        sent = self._line.take(elapsed, size, self._schedule, conditions)
        if sent is None:
            self.tally.overflowed += 1
        elif lost:
            self.tally.lost += 1
        elif len(self._flight) + copies > MAX_IN_FLIGHT:
            self.tally.crowded += 1
        else:
            due = self._began + sent + delay
            if held_back:
                due += round(conditions.reorder_by * SECOND)
                self.tally.held_back += 1
            elif not conditions.jitter_reorders:
                # When a schedule shortens the delay, packets still arrive as they were sent
                due = self._latest = max(due, self._latest)
            self.tally.duplicated += copies - 1
            for _ in range(copies):
                self._number += 1
                heapq.heappush(self._flight, (due, self._number, packet))

    def due(self) -> int | None:
        """When the next packet is to be delivered; None when none is on its way."""
        return self._flight[0][0] if self._flight else None

    def poll(self, now: int, overhead: int = 0) -> list[tuple[int, bytes]]:
        """Packets due by `now`, each with the time at which it was due."""
        arrived = []
        while self._flight and self._flight[0][0] <= now:
            due, _, packet = heapq.heappop(self._flight)
            arrived.append((due, packet))
            self.tally.delivered += 1
            self.tally.delivered_bytes += len(packet) + overhead
        return arrived

    def _draw_loss(self, conditions: Conditions) -> bool:
        alone = self._loss.random() < conditions.loss
        move, fate = self._bursts.random(), self._bursts.random()
        if (bursts := conditions.bursts) is None:
            return alone
        self._bad = move >= bursts.r if self._bad else move < bursts.p
        return alone or fate < (bursts.loss_bad if self._bad else bursts.loss_good)

    def _draw_delay(self, elapsed: int, conditions: Conditions) -> int:
        own = self._jitter.uniform(-1, 1)
        delay = conditions.delay * SECOND
        if conditions.jitter:
            spread = conditions.jitter_spread * SECOND
            between = own if conditions.jitter_reorders else self._wander.at(elapsed, spread)
            delay += between * spread
        return round(delay)


class _Line:
    """The bottleneck: one packet after the other at the rate of the moment, behind a finite queue.

    Times are nanoseconds since the schedule began, negative ones before.
    """

    def __init__(self) -> None:
        self._queued: deque[tuple[int, int]] = deque()  # (when it is sent wholly, bytes)
        self._backlog = 0
        self._free = 0

    def shift(self, by: int) -> None:
        """The schedule begins again, `by` later than it had."""
        self._queued = deque((sent - by, size) for sent, size in self._queued)
        self._free -= by

    def take(self, now: int, size: int, schedule: Schedule, conditions: Conditions) -> int | None:
        """When the packet has been sent; None when there is no room for it."""
        while self._queued and self._queued[0][0] <= now:
            self._backlog -= self._queued.popleft()[1]
        if conditions.rate is not None and self._backlog:
            room = conditions.queue_bytes or conditions.queue * conditions.rate / 8
            if self._backlog + size > room:
                return None
        # An infinitely fast line has no queue, but packets already in one are not overtaken
        self._free = _sent(max(now, self._free), size * 8, schedule)
        if self._free > now:
            self._queued.append((self._free, size))
            self._backlog += size
        return self._free


def _sent(start: int, bits: float, schedule: Schedule) -> int:
    """When `bits` begun at `start` are sent, through all changes of the rate."""
    moment = start
    for end, conditions in schedule.after(start):
        if conditions.rate is None:
            return moment
        needed = bits / conditions.rate * SECOND
        if moment + needed <= end:
            return round(moment + needed)
        bits -= (end - moment) * conditions.rate / SECOND
        moment = end
    raise AssertionError("the last conditions of a schedule never end")


class _Wander:
    """A delay that moves and never jumps: a line through seeded points between -1 and 1.

    It falls by less than the time that passes, so no packet overtakes the one before it.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._points: dict[int, float] = {}

    def at(self, elapsed: int, spread: float) -> float:
        step = max(JITTER_STEP, round(4 * spread))  # falls by at most half the time that passes
        number, part = divmod(elapsed, step)
        if number not in self._points or number + 1 not in self._points:
            self._points = {n: self._point(n) for n in (number, number + 1)}
        before, after = self._points[number], self._points[number + 1]
        return before + (after - before) * part / step

    def _point(self, number: int) -> float:
        return random.Random(f"{self._seed}/{number}").uniform(-1, 1)
