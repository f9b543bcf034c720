"""Keeps sources sending and sockets empty.

While nothing is measured an epoll descriptor inside the event loop wakes us at once; in a stroll
the sockets are looked at every few milliseconds, when there is more than one packet in each. While
something is measured, nobody waits on the sockets, and each is emptied once a millisecond, or less
often where there are more than fifty: where server and clients share a kernel the server's send
call may pay for telling a waiting receiver, which no server does for clients on other machines.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.loadgen.datagrams import BATCH, Batch
from bench.loadgen.pacing import Pacer
from bench.loadgen.transport import Transport

DRAIN_EVERY: Final = 1_000_000  # nanoseconds
STROLL_EVERY: Final = 0.005  # seconds
_DRAIN_EACH: Final = 20_000  # nanoseconds per socket; asking an empty one costs a microsecond
_ROUNDS: Final = 16
_PR_SET_TIMERSLACK: Final = 29


@dataclass(slots=True)
class Sender:
    """A publisher's transport and when it is to send."""

    transport: Transport
    pacer: Pacer


class Driver:
    """Owns the sockets' readiness; to be made inside a running event loop."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._batch = Batch()
        self._transports: dict[int, Transport] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self.drain)
        # Sleeps end when asked to, not up to 50 microseconds later
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)

    @property
    def transports(self) -> list[Transport]:
        return list(self._transports.values())

    def attach(self, transport: Transport) -> None:
        """Receive for this transport from now on."""
        self._transports[transport.descriptor] = transport
        self._epoll.register(transport.descriptor, select.EPOLLIN)

    def detach(self, transport: Transport) -> None:
        """Receive for it no more; before it is closed."""
        self._transports.pop(transport.descriptor, None)
        self._epoll.unregister(transport.descriptor)

    def drain(self) -> None:
        """Empty the sockets, within bounds."""
        for _ in range(_ROUNDS):
            ready = self._epoll.poll(0)
            if not ready:
                return
            for descriptor, _events in ready:
                self._transports[descriptor].receive(self._batch)

    async def run(self, senders: Sequence[Sender], seconds: float) -> None:
        """Send at the senders' pace for so long, with this thread to itself."""
        transports = self.transports
        for transport in transports:
            self._epoll.unregister(transport.descriptor)
        try:
            await self._run(senders, transports, seconds)
        finally:
            for transport in transports:
                self._epoll.register(transport.descriptor, select.EPOLLIN)

    async def _run(
        self, senders: Sequence[Sender], transports: Sequence[Transport], seconds: float
    ) -> None:
        now = time.monotonic_ns()
        until = now + int(seconds * 1e9)
        drain_at = now
        drain_every = max(DRAIN_EVERY, _DRAIN_EACH * len(transports))
        turns = [(sender.pacer.due, number) for number, sender in enumerate(senders)]
        heapq.heapify(turns)
        while now < until:
            while turns and turns[0][0] <= now:
                number = turns[0][1]
                sender = senders[number]
                if count := sender.pacer.take(now):
                    sender.transport.send(count)
                heapq.heapreplace(turns, (sender.pacer.due, number))
            if now >= drain_at:
                for transport in transports:
                    while transport.receive(self._batch) == BATCH:
                        pass
                drain_at = now + drain_every
                await asyncio.sleep(0)  # signalling and timers
            due = turns[0][0] if turns else until
            pause = min(due, drain_at, until) - time.monotonic_ns()
            if pause > 0:
                time.sleep(pause / 1e9)  # noqa: ASYNC251 (the pace is finer than the loop's)
            now = time.monotonic_ns()

    async def stroll(self, senders: Sequence[Sender]) -> None:
        """Send until cancelled, and leave the thread to others in between."""
        self._loop.remove_reader(self._epoll.fileno())
        try:
            while True:
                now = time.monotonic_ns()
                for sender in senders:
                    if count := sender.pacer.take(now):
                        sender.transport.send(count)
                self.drain()
                await asyncio.sleep(STROLL_EVERY)
        finally:
            self._loop.add_reader(self._epoll.fileno(), self.drain)
