"""The people of a soak: a steady audience, and others who come, choose, mute and go."""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from livekit.protocol import models

from bench.loadgen.driver import Driver, Sender
from bench.loadgen.dtls import PROFILES, SUITES, Identity
from bench.loadgen.media import Audio, Simulcast
from bench.loadgen.pacing import FRAME, Pacer
from bench.loadgen.participant import Participant, Surroundings
from bench.loadgen.servers import LiveKitServer
from bench.loadgen.signalling import ServerAddress, SignallingError
from bench.loadgen.token import access_token

GUESTS: Final = 8  # in a room at once, beside its steady audience
BAD_LINK: Final = 0.1  # of a guest's packets, lost
ONE_IN: Final = 64  # packets that onlookers look at
AT_ONCE: Final = 4  # people who join at the same time before it begins
PAUSE: Final = (0.2, 1.5)  # seconds between two things that happen in a room
_QUALITIES: Final = (
    models.VideoQuality.LOW,
    models.VideoQuality.MEDIUM,
    models.VideoQuality.HIGH,
    None,
)


Deed = Callable[["Room"], Awaitable[None]]


class NoDelays:
    """Nobody measures delays here."""

    def sent(self, source: int, counter: int, at: int) -> None:
        """Taken, and forgotten."""

    def arrived(self, source: int, counter: int, at: int) -> None:
        """Taken, and forgotten."""


@dataclass
class Room:
    """A camera of three layers, a microphone, who stays and who comes and goes."""

    name: str
    camera: str = ""  # sid
    microphone: str = ""  # sid
    speaker: Participant | None = None
    muted: bool = False
    audience: list[Participant] = field(default_factory=list)
    onlookers: list[Participant] = field(default_factory=list)
    guests: list[Participant] = field(default_factory=list)

    @property
    def people(self) -> int:
        """How many are there, presenter and speaker among them."""
        return len(self.audience) + len(self.onlookers) + len(self.guests) + 2


class Crowd:
    """To be made inside a running event loop."""

    def __init__(self, server: LiveKitServer, profile: str, seed: int) -> None:
        self.driver = Driver()
        self.rooms: list[Room] = []
        self.did: Counter[str] = Counter()
        self._server = server
        self._draw = random.Random(seed)
        self._identity = Identity(PROFILES[profile], SUITES[0])
        self._address = ServerAddress(
            server.host, server.port, ssl.create_default_context(cafile=server.authority)
        )
        self._senders: list[Sender] = []
        self._cameras: list[tuple[Sender, Simulcast]] = []
        self._people: list[Participant] = []
        self._names = 0
        self._calm = False
        self._sending: asyncio.Task[None] | None = None

    async def settle(self, rooms: int, audience: int, onlookers: int) -> None:
        """Open the rooms. Of the audience, every second gives feedback; onlookers only make load,
        for which they look at few of the packets that they get. Raises SignallingError.
        """
        for number in range(rooms):
            room = Room(f"soak-{number}")
            self.rooms.append(room)
            presenter = self._person(room)
            ssrcs = (_ssrc(), _ssrc(), _ssrc())
            camera = Simulcast(ssrcs, number, rate=100, mid="0")
            room.camera = await presenter.publish("video", camera, rids=Simulcast.rids)
            self._cameras.append((self._send(presenter, 100, FRAME), camera))
            room.speaker = self._person(room)
            room.microphone = await room.speaker.publish("audio", Audio(_ssrc(), 100 + number))
            self._send(room.speaker, 50, 1)
            for place in range(audience):
                listener = self._person(room, tells=place % 2 == 0)
                await listener.listen(audio=1, video=1)
                room.audience.append(listener)
            room.onlookers = [self._person(room, one_in=ONE_IN) for _ in range(onlookers)]
            for first in range(0, onlookers, AT_ONCE):
                some = room.onlookers[first : first + AT_ONCE]
                await asyncio.gather(*(each.listen(audio=1, video=1) for each in some))
        self._sending = asyncio.create_task(self.driver.stroll(self._senders))

    def set_rate(self, rate: float) -> None:
        """Packets per second of each camera, all layers together."""
        for sender, camera in self._cameras:
            camera.set_rate(rate)
            sender.pacer = Pacer(rate, FRAME, time.monotonic_ns())

    async def live(self, room: Room) -> None:
        """Something happens in a room again and again, until `calm`: in rounds, so that a short
        time has of everything.
        """
        deeds: list[Deed] = []
        while not self._calm:
            await asyncio.sleep(self._draw.uniform(*PAUSE))
            if not deeds:
                deeds = [self._come, self._come, self._go, self._choose, self._mute]
                self._draw.shuffle(deeds)
            await deeds.pop()(room)

    def calm(self) -> None:
        """Nothing new happens; what has begun is carried through."""
        self._calm = True

    def failures(self) -> list[str]:
        """Why sessions ended that should not have."""
        return [person.failure for person in self._people if person.failure]

    def lost(self) -> int:
        """Packets that the steady audience never got, and of those that onlookers look at."""
        audience = (person for room in self.rooms for person in [*room.audience, *room.onlookers])
        transports = [person.transport for person in audience if person.transport is not None]
        return sum(stream.gaps for one in transports for stream in one.streams.values())

    async def leave(self) -> None:
        """Everybody goes."""
        if self._sending is not None:
            self._sending.cancel()
        await asyncio.gather(*(self._part(person) for person in list(self._people)))

    async def _come(self, room: Room) -> None:
        if len(room.guests) >= GUESTS:
            return await self._go(room)
        kind = self._draw.choice(("listens", "listens over a bad link", "speaks"))
        guest = self._person(
            room, tells=True, loses=BAD_LINK if kind == "listens over a bad link" else 0.0
        )
        try:
            if kind == "speaks":
                await guest.publish("audio", Audio(_ssrc(), 1), listens=True)
                self._send(guest, 50, 1)
            else:
                await guest.listen(audio=1, video=1)
        except SignallingError:
            self.did["failed to come"] += 1
            await self._part(guest)
            return None
        room.guests.append(guest)
        self.did[kind] += 1
        return None

    async def _go(self, room: Room) -> None:
        if room.guests:
            await self._part(room.guests.pop(self._draw.randrange(len(room.guests))))
            self.did["goes"] += 1

    async def _choose(self, room: Room) -> None:
        person = self._draw.choice([*room.audience, *room.guests])
        await person.choose(room.camera, self._draw.choice(_QUALITIES))
        self.did["chooses a layer"] += 1

    async def _mute(self, room: Room) -> None:
        if room.speaker is not None:
            room.muted = not room.muted
            await room.speaker.mute(room.microphone, room.muted)
            self.did["mutes or speaks again"] += 1

    async def _part(self, person: Participant) -> None:
        self._people.remove(person)
        if person.transport is not None:
            sender = next((one for one in self._senders if one.transport is person.transport), None)
            if sender is not None:
                self._senders.remove(sender)
            self.driver.detach(person.transport)
        await person.close()

    def _person(
        self, room: Room, *, tells: bool = False, loses: float = 0.0, one_in: int = 1
    ) -> Participant:
        self._names += 1
        mint = partial(access_token, self._server.api_key, self._server.api_secret, room.name)
        world = Surroundings(self._address, self._identity, NoDelays(), mint, self.driver.attach)
        person = Participant(
            replace(world, tells=tells, loses=loses, one_in=one_in),
            f"{room.name}-person-{self._names}",
        )
        self._people.append(person)
        return person

    def _send(self, person: Participant, rate: float, burst: int) -> Sender:
        assert person.transport is not None, "it has published"
        sender = Sender(person.transport, Pacer(rate, burst, time.monotonic_ns()))
        self._senders.append(sender)
        return sender


def _ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
