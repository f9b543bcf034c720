"""A case: a publisher and a subscriber at a server, and a bad link before one of the two."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench.impair.cases import ROLES, Case, Role
from bench.impair.networks import networks
from bench.impair.people import Person
from bench.impair.seen import Sample, Seen, seen
from bench.impair.venues import Server, venue
from bench.link.conditions import SECOND
from bench.link.pump import Lateness
from bench.link.running import Link, Told
from bench.process import core_time

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
    sound: str
    """What the publisher's browser sends sound as: `red` is Opus with redundancy."""

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
            "sound": self.sound,
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
async def call(role: Role, *, server: Server = "conclave", seed: str = "1") -> AsyncIterator[Call]:
    """A server, a publisher and a subscriber; `role` has the bad network. Needs root.

    Raises DriverError, LinkFailed, RuntimeError (the server), AssertionError (the networks).
    """
    async with networks(seed) as joined, venue(server, joined) as place:
        at = {each: joined.behind if each == role else joined.clean for each in ROLES}
        async with (
            place.person("publisher", at["publisher"], "camera") as publisher,
            place.person("subscriber", at["subscriber"], "nothing") as subscriber,
        ):
            yield Call(role, joined.bad, publisher, subscriber)


async def _watched(
    case: Case, role: Role, bad: Link, publisher: Person, subscriber: Person
) -> Played:
    before, was_busy = await bad.told(), busy()
    began = await bad.begin(up=case.schedule, down=case.schedule)
    samples: list[Sample] = []
    while (elapsed := (time.monotonic_ns() - began) / SECOND) < case.seconds:
        samples.append(await _sample(began, role, bad, publisher, subscriber))
        await asyncio.sleep(max(0.0, elapsed + 1 - (time.monotonic_ns() - began) / SECOND))
    samples.append(await _sample(began, role, bad, publisher, subscriber))
    after, is_busy = await bad.told(), busy()
    here = [await each.is_in_the_call() for each in (publisher, subscriber)]
    return Played(
        seen=seen(samples, case.schedule),
        survived=all(here) and _alive(samples[-1 - ALIVE :]),
        offered=samples[-1].link_offered - samples[0].link_offered,
        lateness=after.lateness,
        link_cpu=(after.cpu - before.cpu) / ((after.at - before.at) / SECOND),
        machine_busy=part(was_busy, is_busy),
        sound=await publisher.sound(),
    )


async def _sample(
    began: int, role: Role, bad: Link, publisher: Person, subscriber: Person
) -> Sample:
    received, told, sent = await asyncio.gather(subscriber.received(), bad.told(), publisher.sent())
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
        limited=sent.limited,
        smallest=sent.smallest,
        largest=sent.largest,
    )


def _media(told: Told, role: Role) -> Any:
    """The direction in which the media goes through the bad link."""
    return told.up if role == "publisher" else told.down


def _alive(last: Sequence[Sample]) -> bool:
    before, after = last[0], last[-1]
    heard = (after.samples - before.samples) - (after.concealed - before.concealed)
    return after.frames > before.frames and heard > 0


def busy() -> tuple[float, float]:
    """(time anything took, all time) of all cores, in seconds."""
    times = [core_time(core) for core in range(os.cpu_count() or 1)]
    taken = sum(each.user + each.system + each.interrupts for each in times)
    return taken, taken + sum(each.idle for each in times)


def part(before: tuple[float, float], after: tuple[float, float]) -> float:
    """The part of all time between two moments that anything took."""
    return (after[0] - before[0]) / (after[1] - before[1])
