"""One participant: signalling and transport together."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from livekit.protocol import models

from bench.loadgen.association import Negotiated
from bench.loadgen.dtls import Identity
from bench.loadgen.sdp import Kind, LocalSide, Section, Setup, offer, reachable, remote_side
from bench.loadgen.signalling import Reports, ServerAddress, Signalling, SignallingError
from bench.loadgen.transport import Delays, Source, Transport

CONNECT_PATIENCE: Final = 60.0  # seconds until a transport must stand


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all participants of one generator share."""

    server: ServerAddress
    identity: Identity
    delays: Delays
    token: Callable[[str], str]
    attach: Callable[[Transport], None]
    tells: bool = False  # receivers give transport-wide feedback and ask for lost packets
    loses: float = 0.0  # share of the media packets that receivers that tell do not get
    one_in: int = 1  # of how many packets receivers look at one
    setup: Setup = "actpass"


class Participant:
    """Joins a room, publishes at most one track, receives what the server sends."""

    def __init__(self, surroundings: Surroundings, name: str) -> None:
        self._world = surroundings
        self._name = name
        self._local = LocalSide(
            ufrag=secrets.token_urlsafe(6).replace("-", "a").replace("_", "b"),
            password=secrets.token_hex(16),
            fingerprint=surroundings.identity.fingerprint,
        )
        self._sections: list[Section] = []
        self._number = 0
        self._answered = 0
        self._answer = ""  # the first, until it is known where the server is
        self._candidates: list[str] = []  # as lines of SDP, beside those of the answer
        self._owed = [0, 0]  # receiving sections the server asked for, audio and video
        self._due = False  # an offer
        self._changed = asyncio.Event()
        self._described = asyncio.Event()
        self._signalling: Signalling | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.transport: Transport | None = None
        self.began = 0.0

    async def listen(self, audio: int = 0, video: int = 0) -> None:
        """Join with an offer of so many receiving sections, as browsers do, and connect."""
        self._sections = [Section("audio")] * audio + [Section("video")] * video
        await self._join(auto_subscribe=True)
        await self._connect()

    async def publish(
        self, kind: Kind, source: Source, *, listens: bool = False, rids: tuple[str, ...] = ()
    ) -> str:
        """Join, announce one track, offer it, connect; the track's sid."""
        await self._join(auto_subscribe=listens)
        cid = secrets.token_hex(8)
        signalling = _there(self._signalling)
        sid = await signalling.add_track(cid, kind, layered=bool(rids))
        self._sections.append(Section(kind, cid, source.ssrc, rids))
        self._offer_soon()
        await self._connect()
        _there(self.transport).source = source
        return sid

    async def mute(self, sid: str, muted: bool) -> None:
        """Mute a track of ours, or let it be heard again."""
        await _there(self._signalling).mute(sid, muted)

    async def choose(self, sid: str, quality: models.VideoQuality | None) -> None:
        """Which layer of somebody's track is wanted; None for nothing."""
        await _there(self._signalling).choose(sid, quality)

    async def close(self) -> None:
        """Leave."""
        for task in self._tasks:
            task.cancel()
        if self._signalling is not None:
            await self._signalling.close()
        if self.transport is not None:
            self.transport.close()

    @property
    def outgoing(self) -> Transport | None:
        """What their track leaves by: one transport serves both ways."""
        return self.transport

    @property
    def incoming(self) -> Transport | None:
        """What the others' tracks come by."""
        return self.transport

    @property
    def failure(self) -> str | None:
        """Why the session ended, if it did."""
        return self._signalling.failure if self._signalling else None

    async def _join(self, *, auto_subscribe: bool) -> None:
        first = None
        if self._sections:
            first = self._next_offer()
        self.began = time.monotonic()
        self._signalling = await Signalling.open(
            self._world.server,
            self._world.token(self._name),
            first,
            auto_subscribe,
            Reports(self._on_answer, self._on_requirement, self._on_candidate),
        )
        self._tasks.append(asyncio.create_task(self._negotiate()))

    async def _connect(self) -> None:
        deadline = time.monotonic() + CONNECT_PATIENCE
        while self.transport is None:
            if self.failure is not None:
                raise SignallingError(self.failure)
            if time.monotonic() > deadline:
                raise SignallingError("no answer, or no UDP host candidate, in time")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._described.wait(), 0.5)
        try:
            await asyncio.wait_for(asyncio.shield(self.transport.connected), CONNECT_PATIENCE)
        except TimeoutError:
            raise SignallingError(f"no DTLS connection in time; {self.failure}") from None

    def _next_offer(self) -> str:
        self._number += 1
        world = self._world
        return offer(
            self._local, self._sections, self._number, tells=world.tells, setup=world.setup
        )

    async def _negotiate(self) -> None:
        """Offer whenever something changed and no offer is under way."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not self._due or self._answered < self._number:
                continue  # the answer under way wakes us again
            self._due = False
            audio, video = self._owed
            self._owed = [0, 0]
            self._sections += [Section("audio")] * audio + [Section("video")] * video
            sdp = self._next_offer()
            await _there(self._signalling).offer(self._number, sdp)

    def _offer_soon(self) -> None:
        self._due = True
        self._changed.set()

    def _on_answer(self, number: int, answer: str) -> None:
        self._answered = max(self._answered, number)
        self._answer = self._answer or answer
        self._reach()
        self._changed.set()

    def _on_candidate(self, candidate: str) -> None:
        """One may come before the answer and after it (RFC 8838)."""
        self._candidates.append(f"a={candidate}")
        self._reach()

    def _reach(self) -> None:
        """The transport, once it is known where the server is."""
        described = "\n".join([self._answer, *self._candidates])
        if self.transport is not None or not self._answer or not reachable(described):
            return
        world, remote = self._world, remote_side(described)
        self.transport = Transport(
            remote.address(world.server.host),
            Negotiated(world.identity, self._local, remote),
            world.delays,
            tells=world.tells,
            loses=world.loses,
            one_in=world.one_in,
        )
        world.attach(self.transport)
        self._described.set()

    def _on_requirement(self, audio: int, video: int) -> None:
        self._owed = [self._owed[0] + audio, self._owed[1] + video]
        self._offer_soon()


_Value = TypeVar("_Value")


def _there(value: _Value | None) -> _Value:
    if value is None:
        raise SignallingError("used before it was joined")
    return value
