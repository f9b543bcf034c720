"""Three people: what becomes of one subscriber's picture when the other's network is bad."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.impair.networks import networks
from bench.impair.people import SMALL, Person
from bench.impair.venues import Server, venue
from bench.link.conditions import PERFECT, Conditions
from bench.link.running import Link

BAD: Final = Conditions(rate=300e3, queue=0.2, delay=0.02, loss=0.05)
PHASES: Final = (False, True, False, True, False)
"""Whether the other's network is bad. The clean ones tell how unlike two equal phases are."""
PHASE: Final = 12.0  # seconds
SETTLE: Final = 5.0  # seconds before a clean phase, in which the other's picture recovers
GROW: Final = 15.0  # seconds before the first, until pictures have their size
SECONDS: Final = GROW + len(PHASES) * PHASE + PHASES.count(False) * SETTLE
ALIKE: Final = 0.05
"""Phases that differ by less are alike, however like each other the clean ones are."""
_JUDGED: Final = ("fps", "height", "kbit", "freezes", "concealed")
_COUNTED: Final = (
    "framesDecoded",
    "bytesReceived",
    "freezeCount",
    "totalFreezesDuration",
    "concealedSamples",
    "totalSamplesReceived",
)


@dataclass(frozen=True, slots=True)
class Phase:
    """What the clean subscriber saw meanwhile, and what the other got."""

    bad: bool
    fps: float
    height: int
    """The most shown."""
    kbit: float
    freezes: int
    frozen: float
    concealed: float
    other_fps: float
    other_height: int
    other_lost: float
    """Part of the packets towards the other that its link lost or had no room for."""


@dataclass(frozen=True, slots=True)
class Bystander:
    """All phases, in order."""

    phases: tuple[Phase, ...]

    def worse(self) -> tuple[str, ...]:
        """What is worse with the other's network, by more than clean phases differ themselves.

        Better does not count: a browser that has less to decode leaves processor to the others.
        """
        found = []
        for name in _JUDGED:
            clean, bad = (
                [getattr(each, name) for each in self.phases if each.bad is wanted]
                for wanted in (False, True)
            )
            slack = max(max(clean) - min(clean), ALIKE * statistics.fmean(clean))
            more_is_worse = name in ("freezes", "concealed")
            if max(bad) > max(clean) + slack if more_is_worse else min(bad) < min(clean) - slack:
                found.append(name)
        return tuple(found)

    def written(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def read(cls, given: dict[str, Any]) -> Bystander:
        """From JSON."""
        return cls(tuple(Phase(**phase) for phase in given["phases"]))


async def bystander(server: Server, *, seed: str = "1") -> Bystander:
    """One publishes, two watch, and the network of one of them turns bad and good. Needs root.

    Raises DriverError, LinkFailed, RuntimeError, AssertionError, TimeoutError.
    """
    async with (
        networks(seed) as joined,
        venue(server, joined) as place,
        place.person("publisher", joined.clean, "camera"),
        place.person("clean", joined.clean, "nothing") as clean,
        # A small window, which costs the machine less; it too has a layer to fall from
        place.person("behind", joined.behind, "nothing", SMALL) as other,
    ):
        await asyncio.sleep(GROW)
        phases = []
        for bad in PHASES:
            await joined.bad.be(up=BAD if bad else PERFECT, down=BAD if bad else PERFECT)
            if not bad:
                await asyncio.sleep(SETTLE)
            phases.append(await _phase(bad, clean, other, joined.bad))
        return Bystander(tuple(phases))


async def _phase(bad: bool, clean: Person, other: Person, link: Link) -> Phase:
    loop = asyncio.get_running_loop()
    start, heights, other_heights = loop.time(), [], []
    first, others, carried = await asyncio.gather(clean.received(), other.received(), link.told())
    for second in itertools.count(1):
        await asyncio.sleep(max(0.0, start + second - loop.time()))
        now, theirs, told = await asyncio.gather(clean.received(), other.received(), link.told())
        heights.append(int(now.get("frameHeight", 0)))
        other_heights.append(int(theirs.get("frameHeight", 0)))
        if second >= PHASE:
            break
    seconds = loop.time() - start
    counted = {name: now.get(name, 0) - first.get(name, 0) for name in _COUNTED}
    sound = counted["totalSamplesReceived"]
    down, before = told.down, carried.down
    offered = down.offered - before.offered
    dropped = down.lost + down.overflowed - before.lost - before.overflowed
    return Phase(
        bad=bad,
        fps=counted["framesDecoded"] / seconds,
        height=statistics.mode(heights),
        kbit=counted["bytesReceived"] * 8 / seconds / 1000,
        freezes=int(counted["freezeCount"]),
        frozen=counted["totalFreezesDuration"],
        concealed=counted["concealedSamples"] / sound if sound else 1.0,
        other_fps=(theirs.get("framesDecoded", 0) - others.get("framesDecoded", 0)) / seconds,
        other_height=statistics.mode(other_heights),
        other_lost=dropped / offered if offered else 0.0,
    )
