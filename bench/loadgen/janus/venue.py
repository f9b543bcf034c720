"""People in Janus' video room: one connection for what they send, another for what they get."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from typing import Final

from bench.loadgen.association import Negotiated
from bench.loadgen.janus import messages
from bench.loadgen.janus.description import answer, transport_numbers
from bench.loadgen.janus.session import Session
from bench.loadgen.media import TRANSPORT_SEQUENCE_ID
from bench.loadgen.sdp import Kind, LocalSide, Section, offer, remote_side
from bench.loadgen.servers import JanusServer
from bench.loadgen.transport import Source, Transport
from bench.loadgen.venue import Habits, VenueError

CONNECT_PATIENCE: Final = 60.0  # seconds until a transport must stand
_PUBLISHERS: Final = 1000  # of a room, at most
_FIRST_ROOM: Final = 1000
_AT_ONCE: Final = 4  # subscriptions under way


class JanusVenue:
    """One session for everybody; each connection is a handle in it."""

    def __init__(self, server: JanusServer, habits: Habits) -> None:
        self._server = server
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._rooms: dict[str, int] = {}
        self._listening: list[JanusPerson] = []
        self.habits = habits
        self.feeds: defaultdict[int, list[int]] = defaultdict(list)
        self.core = server.core
        self.pid = server.pid

    def person(self, room: str, name: str) -> JanusPerson:
        """Somebody new, not yet joined."""
        return JanusPerson(self, room, name)

    async def gathered(self) -> None:
        """Who publishes and listens gets what the others publish by now. Raises VenueError."""
        waiting, self._listening = self._listening, []
        for first in range(0, len(waiting), _AT_ONCE):
            some = waiting[first : first + _AT_ONCE]
            await asyncio.gather(*(person.subscribe() for person in some))

    async def counters(self) -> dict[str, int]:
        """It does not tell."""
        return {}

    async def close(self) -> None:
        """The rooms end, so that nobody is in them when they are made again."""
        if self._session is None:
            return
        try:
            handle = await self._session.attach()
            for room in self._rooms.values():
                await self._session.say(handle, {"request": "destroy", "room": room})
        finally:
            await self._session.close()

    async def session(self) -> Session:
        """Opened by the first who joins. Raises VenueError, OSError."""
        async with self._opening:
            if self._session is None:
                self._session = await Session.open(self._server.host, self._server.port)
        return self._session

    async def room(self, name: str, kind: Kind) -> int:
        """The number of the room of that name, made by the first who publishes there."""
        session = await self.session()
        async with self._opening:
            if name not in self._rooms:
                number = _FIRST_ROOM + len(self._rooms)
                handle = await session.attach()
                await session.say(handle, messages.create_room(number, kind, _PUBLISHERS))
                self._rooms[name] = number
        return self._rooms[name]

    def will_listen(self, person: JanusPerson) -> None:
        """Their subscription is for when everybody is there."""
        self._listening.append(person)

    def remote_address(self, described: str) -> tuple[str, int]:
        return remote_side(described).address(self._server.host)


class JanusPerson:
    """Publishes by one handle, listens by another, as Janus has it."""

    def __init__(self, venue: JanusVenue, room: str, name: str) -> None:
        self._venue = venue
        self._room_name = room
        self._name = name
        self._room = 0
        self._feed = 0
        self._handles: list[int] = []
        self._session: Session | None = None
        self.outgoing: Transport | None = None
        self.incoming: Transport | None = None
        self.began = 0.0

    @property
    def failure(self) -> str | None:
        """Why one of the connections ended, if it did."""
        if self._session is None:
            return None
        found = (self._session.failure(handle) for handle in self._handles)
        return next((why for why in found if why), None)

    async def publish(self, kind: Kind, source: Source, *, listens: bool = False) -> None:
        """Join, publish one track, connect. Raises VenueError, BadAnswer, HandshakeError."""
        self.began = time.monotonic()
        session, handle = await self._attach()
        self._room = await self._venue.room(self._room_name, kind)
        joined = await session.say(handle, messages.join_to_publish(self._room, self._name))
        self._feed = joined.feed
        local = self._local()
        section = Section(kind, secrets.token_hex(8), source.ssrc)
        described = messages.jsep("offer", offer(local, [section], 1, setup="active"))
        configured = await session.say(handle, messages.publish(), described)
        self.outgoing = self._transport(local, configured.sdp)
        self.outgoing.source = source
        await session.trickle(handle, self.outgoing.here)
        await _connected(self.outgoing)
        await session.connected(handle)
        self._venue.feeds[self._room].append(self._feed)
        if listens:
            self._venue.will_listen(self)

    async def listen(self, audio: int = 0, video: int = 0) -> None:
        """Join and get everything that is published. Raises as `publish`."""
        self.began = time.monotonic()
        self._room = await self._venue.room(self._room_name, "audio" if audio else "video")
        await self.subscribe()

    async def subscribe(self) -> None:
        """Everybody else's tracks, all by one connection. Raises as `publish`."""
        session, handle = await self._attach()
        feeds = [feed for feed in self._venue.feeds[self._room] if feed != self._feed]
        attached = await session.say(handle, messages.join_to_listen(self._room, feeds))
        # It takes no feedback for sound, only for pictures
        numbers = transport_numbers(attached.sdp)
        local, tells = self._local(), self._venue.habits.tells and numbers is not None
        if tells and numbers != TRANSPORT_SEQUENCE_ID:
            raise VenueError("Janus offers transport-wide numbers where nobody looks for them")
        self.incoming = self._transport(local, attached.sdp, tells=tells)
        ours = messages.jsep("answer", answer(attached.sdp, local, tells=tells))
        await session.say(handle, messages.start(), ours)
        await session.trickle(handle, self.incoming.here)
        await _connected(self.incoming)

    async def close(self) -> None:
        """The session's end is the end of all handles."""
        for transport in (self.outgoing, self.incoming):
            if transport is not None:
                transport.close()

    async def _attach(self) -> tuple[Session, int]:
        self._session = await self._venue.session()
        handle = await self._session.attach()
        self._handles.append(handle)
        return self._session, handle

    def _transport(self, local: LocalSide, described: str, *, tells: bool = False) -> Transport:
        habits = self._venue.habits
        transport = Transport(
            self._venue.remote_address(described),
            Negotiated(habits.identity, local, remote_side(described)),
            habits.delays,
            tells=tells,
            loses=habits.loses,
        )
        habits.attach(transport)
        return transport

    def _local(self) -> LocalSide:
        ufrag, password = secrets.token_hex(4), secrets.token_hex(16)
        return LocalSide(ufrag, password, self._venue.habits.identity.fingerprint)


async def _connected(transport: Transport) -> None:
    try:
        await asyncio.wait_for(asyncio.shield(transport.connected), CONNECT_PATIENCE)
    except TimeoutError:
        raise VenueError("no DTLS connection with Janus in time") from None
