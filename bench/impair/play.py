"""One case: a server, a publisher, a subscriber, and a bad link before one of the two."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench.impair.cases import Case, Role
from bench.impair.people import Person, person
from bench.impair.seen import Sample, Seen, seen
from bench.link.conditions import SECOND
from bench.link.pump import Lateness
from bench.link.running import Link, Told, tunnelled
from bench.process import core_time
from tests.faults.namespaces import Host, host, link
from tests.faults.public_node import public_node

BAD, GOOD = "10.78.0", "10.79.0"  # networks; the server is .1, the client .2
PICTURE_PATIENCE: Final = 20.0  # seconds until a picture is there and has its full size
SETTLE: Final = 6.0  # seconds between two cases at least: buffers and estimates forget the last one
SETTLED: Final = 3  # seconds in a row with a full picture
FULL_HEIGHT: Final = 720
ALIVE: Final = 5  # seconds at the end of a case in which picture and sound must have come


class NoPicture(Exception):
    """The subscriber sees nothing although the network is perfect."""


@dataclass(frozen=True, slots=True)
class Played:
    """A case that was played to its end."""

    seen: Seen
    survived: bool
    """Whether picture and sound still came in the last seconds, and both were in the call."""
    offered: int
    """Packets that came to the bad link, in the direction of the media."""
    lateness: Lateness
    """Of the link, since it was started."""
    link_cpu: float
    """Part of one core that the link's process took."""
    machine_busy: float
    """Part of all processor time that anything took meanwhile."""

    def written(self) -> dict[str, Any]:
        """For JSON."""
        names = ("packets", "over_1ms", "over_5ms", "worst_ms", "refused")
        return {
            **self.seen.written(),
            "survived": self.survived,
            "offered": self.offered,
            "link_late": {name: getattr(self.lateness, name) for name in names},
            "link_cpu": self.link_cpu,
            "machine_busy": self.machine_busy,
        }


class Call:
    """Two people in a call over a network that is perfect, and bad while a case is played."""

    def __init__(self, role: Role, bad: Link, publisher: Person, subscriber: Person) -> None:
        self._role, self._bad = role, bad
        self._publisher, self._subscriber = publisher, subscriber

    async def play(self, case: Case) -> Played:
        """Wait for the whole picture, then play. Raises DriverError, LinkFailed, NoPicture."""
        await self._bad.be()
        await self._whole_picture()
        return await _watched(case, self._role, self._bad, self._publisher, self._subscriber)

    async def _whole_picture(self) -> None:
        """A fluent one of full size; or, of a busy machine, what it has after a while."""
        start, grown, frames = time.monotonic(), 0, 0
        while (waited := time.monotonic() - start) < PICTURE_PATIENCE:
            await asyncio.sleep(1)
            received = await self._subscriber.received()
            before, frames = frames, int(received.get("framesDecoded", 0))
            full = frames > before and received.get("frameHeight", 0) >= FULL_HEIGHT
            grown = grown + 1 if full else 0
            if grown >= SETTLED and waited >= SETTLE:
                return
        if frames == before:
            raise NoPicture("no picture on a clean network")


@asynccontextmanager
async def call(role: Role, *, seed: str = "1") -> AsyncIterator[Call]:
    """A server, a publisher and a subscriber; `role` has the bad network. Needs root.

    Raises DriverError, LinkFailed, RuntimeError (the server), AssertionError (the networks).
    """
    async with _networks(seed) as (client, friend, server, bad), AsyncExitStack() as stack:
        addresses = [f"{BAD}.1", f"{GOOD}.1"]
        node = await stack.enter_async_context(public_node(server, names=addresses))

        async def joined(who: Role) -> Person:
            address, where = (addresses[0], client) if who == role else (addresses[1], friend)
            inside, devices = where.command(), who == "publisher"
            return await stack.enter_async_context(
                person(who, address, node.secret, inside=inside, devices=devices)
            )

        yield Call(role, bad, await joined("publisher"), await joined("subscriber"))


async def _watched(
    case: Case, role: Role, bad: Link, publisher: Person, subscriber: Person
) -> Played:
    before, busy = await bad.told(), _busy()
    began = await bad.begin(up=case.schedule, down=case.schedule)
    samples: list[Sample] = []
    while (elapsed := (time.monotonic_ns() - began) / SECOND) < case.seconds:
        samples.append(await _sample(began, role, bad, publisher, subscriber))
        await asyncio.sleep(max(0.0, elapsed + 1 - (time.monotonic_ns() - began) / SECOND))
    samples.append(await _sample(began, role, bad, publisher, subscriber))
    after, still_busy = await bad.told(), _busy()
    here = [await each.is_in_the_call() for each in (publisher, subscriber)]
    return Played(
        seen=seen(samples, case.schedule),
        survived=all(here) and _alive(samples[-1 - ALIVE :]),
        offered=samples[-1].link_offered - samples[0].link_offered,
        lateness=after.lateness,
        link_cpu=(after.cpu - before.cpu) / ((after.at - before.at) / SECOND),
        machine_busy=(still_busy[0] - busy[0]) / (still_busy[1] - busy[1]),
    )


async def _sample(
    began: int, role: Role, bad: Link, publisher: Person, subscriber: Person
) -> Sample:
    received, told, limited = await asyncio.gather(
        subscriber.received(), bad.told(), publisher.limited()
    )
    media = _media(told, role)
    return Sample(
        at=(told.at - began) / SECOND,
        height=int(received.get("frameHeight", 0)),
        frames=int(received.get("framesDecoded", 0)),
        freezes=int(received.get("freezeCount", 0)),
        frozen=received.get("totalFreezesDuration", 0.0),
        concealed=int(received.get("concealedSamples", 0)),
        samples=int(received.get("totalSamplesReceived", 0)),
        link_bytes=media.delivered_bytes,
        link_offered=media.offered,
        link_lost=media.lost,
        link_overflowed=media.overflowed,
        limited=limited,
    )


def _media(told: Told, role: Role) -> Any:
    """The direction in which the media goes through the bad link."""
    return told.up if role == "publisher" else told.down


def _alive(last: Sequence[Sample]) -> bool:
    before, after = last[0], last[-1]
    heard = (after.samples - before.samples) - (after.concealed - before.concealed)
    return after.frames > before.frames and heard > 0


def _busy() -> tuple[float, float]:
    """(time anything took, all time) of all cores, in seconds."""
    times = [core_time(core) for core in range(os.cpu_count() or 1)]
    taken = sum(each.user + each.system + each.interrupts for each in times)
    return taken, taken + sum(each.idle for each in times)


@asynccontextmanager
async def _networks(seed: str) -> AsyncIterator[tuple[Host, Host, Host, Link]]:
    """A client behind a bad link, one behind a cable, and the server; gone at the end."""
    with host("bad") as client, host("good") as friend, host("server") as server:
        link(friend, "net", server, "friend")
        friend.address("net", f"{GOOD}.2/24")
        server.address("friend", f"{GOOD}.1/24")
        async with tunnelled(client.name, server.name, seed=seed) as bad:
            client.address("net", f"{BAD}.2/24")
            server.address("net", f"{BAD}.1/24")
            yield client, friend, server, bad
