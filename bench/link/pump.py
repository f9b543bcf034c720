"""The loop that carries packets: what is readable goes into pipes, what is due comes out of them.

One thread and `select`, whose timeout has microseconds (that of `poll` and asyncio's has
milliseconds). The process asks the kernel for a real-time priority, so that two browsers which take
all of a small machine do not add their own delay to the link; where it may not, `lateness` tells.
"""

from __future__ import annotations

import gc
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.link.conditions import MS, SECOND
from bench.link.model import Pipe

Reader = Callable[[int], None]
"""Takes everything that waits at a file descriptor, at a time in nanoseconds."""
Writer = Callable[[bytes], bool]
"""Sends one packet; False when the kernel did not take it."""


@dataclass(slots=True)
class Lateness:
    """How much later than due packets were written: the delay that the link added of its own."""

    packets: int = 0
    over_1ms: int = 0
    over_5ms: int = 0
    worst_ms: float = 0.0
    refused: int = 0
    """Packets that the kernel did not take: loss of the link's own."""

    def note(self, late: int, taken: bool) -> None:
        self.packets += 1
        self.over_1ms += late > MS
        self.over_5ms += late > 5 * MS
        self.worst_ms = max(self.worst_ms, late / MS)
        self.refused += not taken


class Pump:
    """Readers by file descriptor, and pipes with where they lead."""

    def __init__(self) -> None:
        self.lateness = Lateness()
        self._readers: dict[int, Reader] = {}
        self._pipes: list[tuple[Pipe, Writer, int]] = []
        self._ended = False

    def read(self, descriptor: int, reader: Reader) -> None:
        """Call `reader` whenever there is something to read."""
        self._readers[descriptor] = reader

    def write(self, pipe: Pipe, writer: Writer, overhead: int = 0) -> None:
        """Write what comes out of `pipe`; on the wire it is `overhead` bytes longer."""
        self._pipes.append((pipe, writer, overhead))

    def end(self) -> None:
        """Leave `run` after this round."""
        self._ended = True

    def run(self, seconds: float) -> None:
        """Carry until `end`, at most so long."""
        deadline = time.monotonic_ns() + round(seconds * SECOND)
        gc.freeze()  # nothing made so far is garbage: the collector need not look at it again
        while not self._ended and (now := time.monotonic_ns()) < deadline:
            wake = min((due for pipe, _, _ in self._pipes if (due := pipe.due())), default=deadline)
            wait = max(min(wake, deadline) - now, 0) / SECOND
            readable, _, _ = select.select(list(self._readers), [], [], wait)
            now = time.monotonic_ns()
            for descriptor in readable:
                self._readers[descriptor](now)
            self._deliver()

    def _deliver(self) -> None:
        now = time.monotonic_ns()
        for pipe, writer, overhead in self._pipes:
            for due, packet in pipe.poll(now, overhead):
                self.lateness.note(now - due, writer(packet))


def preferred() -> bool:
    """Run before everything else on this machine; False where that is not allowed."""
    try:
        alike = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, alike, os.sched_param(1))
    except PermissionError:
        return False
    return True
