"""What is measured: who gathers, how they send, and how long each is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.loadgen.media import AUDIO_PACKET_RATE
from bench.loadgen.pacing import FRAME

Pattern = Literal["even", "frames", "voice"]


@dataclass(frozen=True, slots=True)
class FanOut:
    """One video publisher, many who only receive; or several such rooms."""

    listeners: int  # in each room
    rooms: int = 1

    @property
    def publishers(self) -> int:
        return self.rooms

    @property
    def reach(self) -> int:
        """How many get each packet."""
        return self.listeners

    @property
    def present(self) -> int:
        return self.rooms * (self.listeners + 1)


@dataclass(frozen=True, slots=True)
class Calls:
    """Rooms in which everybody publishes one track and gets everybody else's."""

    rooms: int
    people: int  # in each
    kind: Literal["audio", "video"]

    @property
    def publishers(self) -> int:
        return self.rooms * self.people

    @property
    def reach(self) -> int:
        """How many get each packet."""
        return self.people - 1

    @property
    def present(self) -> int:
        return self.publishers


Gathering = FanOut | Calls


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load: who is there, how a publisher's packets come, how many each second."""

    name: str
    title: str
    gathering: Gathering
    pattern: Pattern
    rate: float  # packets per second of each publisher
    burst: int = 1  # packets that leave at once
    frame: int = FRAME  # packets of a picture
    servers: tuple[str, ...] = ()  # only on these, all ours; none: on all that are compared
    climbs: bool = False  # at half of a core of each server, then up to the end of ours

    @property
    def once(self) -> bool:
        """Whether it is looked at plain and with one profile only."""
        return bool(self.servers) or self.climbs

    @property
    def out_rate(self) -> float:
        """Packets per second that are to reach people, all together."""
        return self.rate * self.gathering.publishers * self.gathering.reach


@dataclass(frozen=True, slots=True)
class Joins:
    """People join rooms in which one person speaks, at a steady pace."""

    rooms: int
    joins: int
    pace: float  # joins per second
    listeners: int = 0  # who get a picture meanwhile
    rate: float = 0.0  # packets per second of that picture


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to look, in seconds, and how often."""

    warm_up: float
    window: float
    repeats: int
    silence: float  # long enough for every client to ping once; 0 leaves it out
    joins: Joins


OURS: Final = "conclave"
TWO_WORKERS: Final = "conclave-2"
PIPED: Final = "conclave-pipe"
"""Of ours with two workers: rooms whole, or each person on the other worker than the one before."""
OUT: Final = 50_000.0
"""Packets out per second at which servers are compared; 19,000 for voices."""

_VIDEO, _CALLS, _SCREEN = FanOut(50), Calls(10, 10, "video"), FanOut(200)
SCENARIOS: Final = (
    Scenario("video-even", "video 1→50, evenly paced", _VIDEO, "even", OUT / 50),
    Scenario("video-frames", "video 1→50, in frames of 8", _VIDEO, "frames", OUT / 50, FRAME),
    Scenario(
        "voice", "voice 20↔20, every stream", Calls(1, 20, "audio"), "voice", AUDIO_PACKET_RATE
    ),
    Scenario("calls", "ten calls of ten, a camera each", _CALLS, "frames", OUT / 900, 2, 2),
    Scenario("screen", "screen share 1→200", _SCREEN, "frames", OUT / 200, 25, 25),
)
_SHAPES: Final[tuple[tuple[str, str, Pattern, int], ...]] = (
    ("", "evenly", "even", 1),
    ("-frames", "in frames of 8", "frames", FRAME),
)
LISTENERS: Final = tuple(
    Scenario(
        f"listeners-{number}",
        f"video 1→{number:,}, in frames of 8",
        FanOut(number),
        "frames",
        OUT / number,
        FRAME,
        servers=(OURS,),
    )
    for number in (10, 100, 1000)
)
"""What one listener more costs: as many packets out, to ever more people."""
WORKERS: Final = tuple(
    Scenario(
        f"workers-{crowd}{shape}",
        f"{title}, {how}",
        there,
        pattern,
        OUT / 50,
        burst,
        servers=(OURS, other),
    )
    for crowd, title, there, other in (
        ("rooms", "two rooms 1→25", FanOut(25, rooms=2), TWO_WORKERS),
        ("pipe", "one room 1→50", _VIDEO, PIPED),
    )
    for shape, how, pattern, burst in _SHAPES
)
"""What two workers cost beside one, at the same rate of packets out."""
LADDERS: Final = (
    Scenario(
        "load-video",
        "four rooms 1→50, evenly paced",
        FanOut(50, rooms=4),
        "even",
        OUT / 200,
        climbs=True,
    ),
    Scenario(
        "load-voice",
        "three calls of 40 voices",
        Calls(3, 40, "audio"),
        "voice",
        AUDIO_PACKET_RATE / 4,
        climbs=True,
    ),
)
"""How a server bears load; the rate is only where the search for half of a core begins."""
ALL: Final = SCENARIOS + LISTENERS + WORKERS + LADDERS
QUICK_SCENARIOS: Final = ("video-even", "video-frames", "voice")

TRIES: Final = 6
"""Windows at most to find the rate that takes half of a core."""
STEPS: Final = 8
"""Windows at most from there to the end of the core."""

FULL: Final = Plan(
    warm_up=0.4, window=1.5, repeats=5, silence=6.0, joins=Joins(rooms=5, joins=100, pace=10)
)
QUICK: Final = Plan(
    warm_up=0.3, window=1.0, repeats=3, silence=0, joins=Joins(rooms=2, joins=20, pace=10)
)

LOADED: Final = Joins(rooms=10, joins=200, pace=20, listeners=100, rate=1_600)
"""160,000 packets a second besides: with CM about half of a core, and little for the clients."""


def scenarios(names: Sequence[str]) -> list[Scenario]:
    """Those of these names, in the order of the table. Raises ValueError naming what there is."""
    known = {one.name: one for one in ALL}
    for name in names:
        if name not in known:
            raise ValueError(f"no scenario {name!r}; there are: {', '.join(known)}")
    return [one for one in ALL if one.name in names]


def parse(told: Mapping[str, Any]) -> Scenario:
    """A scenario that went through JSON."""
    gathering = told["gathering"]
    there: Gathering = Calls(**gathering) if "people" in gathering else FanOut(**gathering)
    return Scenario(**{**told, "gathering": there, "servers": tuple(told["servers"])})


def together(chosen: Sequence[Scenario]) -> list[list[Scenario]]:
    """The scenarios by who has to be there, and where: these can share their people."""
    found: dict[tuple[Gathering, tuple[str, ...], bool], list[Scenario]] = {}
    for one in chosen:
        found.setdefault((one.gathering, one.servers, one.climbs), []).append(one)
    return list(found.values())
