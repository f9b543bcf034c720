"""One server's people and sockets."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.loadgen.datagrams import kernel_drops
from bench.loadgen.driver import Driver, Sender
from bench.loadgen.dtls import Identity
from bench.loadgen.flights import Flights
from bench.loadgen.media import Audio, Video
from bench.loadgen.pacing import Pacer
from bench.loadgen.thinning import FULL_CORE, overflows
from bench.loadgen.transport import Transport
from bench.loadgen.venue import Habits, Person, Venue, VenueError
from bench.process import cpu_nanoseconds, softirq_thread
from bench.scenarios import Calls, FanOut, Gathering, Scenario

PRIME: Final = 20.0  # seconds within which media must reach everybody
AT_ONCE: Final = 4  # people who join at the same time while a scenario is set up

Opens = Callable[[Habits], Venue]


class Stage:
    """To be made inside a running event loop."""

    def __init__(self, opens: Opens, identity: Identity, *, tells: bool, loses: float) -> None:
        self.driver = Driver()
        self.flights = Flights()
        self.people: list[Person] = []
        self.senders: list[Sender] = []
        habits = Habits(identity, self.flights, self._attach, tells=tells, loses=loses)
        self.venue = opens(habits)
        self._sources: list[Video | Audio] = []
        self._softirq = softirq_thread(self.venue.core)
        self._transports: list[Transport] = []
        self._thinned = False

    def person(self, room: str = "bench") -> Person:
        """Somebody new, not yet joined."""
        person = self.venue.person(room, f"person-{len(self.people) + 1}")
        self.people.append(person)
        return person

    def audio(self) -> Audio:
        return Audio(_ssrc(), self.flights.add_source())

    def speaks(self, person: Person, source: Video | Audio, rate: float) -> Sender:
        """The source that they publish, at an even pace from now on. Raises VenueError."""
        if person.outgoing is None:
            raise VenueError("somebody who is to send has no transport")
        sender = Sender(person.outgoing, Pacer(rate, 1, time.monotonic_ns()))
        self.senders.append(sender)
        self._sources.append(source)
        return sender

    async def gather(self, gathering: Gathering) -> None:
        """Let these people in, until everybody gets everything. Raises VenueError."""
        match gathering:
            case FanOut():
                await self._fan_out(gathering)
            case Calls():
                await self._calls(gathering)

    def set_pace(self, scenario: Scenario) -> None:
        """All senders at this rate from now on, none in step with another."""
        begin = time.monotonic_ns()
        interval = 1e9 * scenario.burst / scenario.rate
        for number, sender in enumerate(self.senders):
            phase = int(number * interval / len(self.senders))
            sender.pacer = Pacer(scenario.rate, scenario.burst, begin + phase)
        for source in self._sources:
            if isinstance(source, Video):
                source.set_rate(scenario.rate, scenario.frame)

    def sent(self) -> int:
        """Packets that all sources have made so far."""
        return sum(source.counter for source in self._sources)

    def payload_bytes(self) -> int:
        """In all of these packets, without headers."""
        return sum(source.payload_bytes for source in self._sources)

    def thin(self) -> None:
        """Let the kernel count what arrives, and pass one packet in `FULL_CORE`. From then on bytes
        and duplicates are of those that pass. To be called while nothing is under way.
        """
        self._thinned = True
        for one in self._transports:
            one.thin(FULL_CORE)

    def totals(self) -> dict[str, int]:
        """What arrived so far, at all of them."""
        transports = self._transports
        dropped = kernel_drops({one.inode for one in transports})
        lost = overflows() if self._thinned else dropped
        return {
            "out": sum(one.packets for one in transports) + dropped - lost,
            "bytes": sum(one.bytes_received for one in transports),
            "resent": sum(one.resent for one in transports),
            "duplicates": sum(one.duplicates for one in transports),
            "checked": sum(one.checked for one in transports),
            "damaged": sum(one.damaged for one in transports),
            "own_drops": lost,
        }

    def places(self) -> dict[int, int]:
        """How many connections there are with each port of the server: with each worker of ours."""
        return dict(Counter(one.there[1] for one in self._transports))

    def softirq_nanoseconds(self) -> int:
        """CPU time of the server's core that the kernel spent on the network in its own name."""
        return cpu_nanoseconds(self._softirq) if self._softirq is not None else 0

    def check_alive(self) -> None:
        """Raises VenueError when a session has ended."""
        failures = [person.failure for person in self.people if person.failure]
        if failures:
            raise VenueError(f"{len(failures)} sessions ended; the first: {failures[0]}")

    async def close(self) -> None:
        """Everybody leaves."""
        for transport in self._transports:
            self.driver.detach(transport)
        await asyncio.gather(*(person.close() for person in self.people), return_exceptions=True)
        await self.venue.close()

    def _attach(self, transport: Transport) -> None:
        self._transports.append(transport)
        self.driver.attach(transport)

    async def _fan_out(self, gathering: FanOut) -> None:
        rooms = [f"bench-{number}" for number in range(gathering.rooms)]
        publishers = [(self.person(room), self._video()) for room in rooms]
        for publisher, camera in publishers:
            await publisher.publish("video", camera)
        listeners = [self.person(room) for room in rooms for _ in range(gathering.listeners)]
        await in_turns([one.listen(video=1) for one in listeners])
        await self.venue.gathered()
        for publisher, camera in publishers:
            self.speaks(publisher, camera, rate=250)
        await self._prime(1, listeners)

    async def _calls(self, gathering: Calls) -> None:
        people = [
            self.person(f"bench-{room}")
            for room in range(gathering.rooms)
            for _ in range(gathering.people)
        ]
        audio = gathering.kind == "audio"
        sources = [self.audio() if audio else self._video() for _ in people]
        await in_turns(
            [
                one.publish(gathering.kind, source, listens=True)
                for one, source in zip(people, sources, strict=True)
            ]
        )
        await self.venue.gathered()
        for one, source in zip(people, sources, strict=True):
            self.speaks(one, source, rate=50)
        await self._prime(gathering.people - 1, people)

    async def _prime(self, streams: int, listeners: Sequence[Person]) -> None:
        """Send until everybody hears everything. Raises VenueError."""
        deadline = time.monotonic() + PRIME
        while True:
            await self.driver.run(self.senders, 0.1)
            self.check_alive()
            heard = [len(one.incoming.streams) if one.incoming else 0 for one in listeners]
            if min(heard) >= streams:
                return
            if time.monotonic() > deadline:
                raise VenueError(
                    f"after {PRIME:.0f} s the least served of {len(listeners)} people gets "
                    f"{min(heard)} of {streams} streams"
                )

    def _video(self) -> Video:
        return Video(_ssrc(), self.flights.add_source(), rate=250)


async def in_turns(joins: Sequence[Any]) -> None:
    """All of them, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(join: Any) -> None:
        async with gate:
            await join

    await asyncio.gather(*(one(join) for join in joins))


def _ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
