"""The bare forwarder: no signalling. People draw their keys, and it is told them and addresses."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

from bench.loadgen.association import Given
from bench.loadgen.dtls import Keys, Profile
from bench.loadgen.sdp import Kind
from bench.loadgen.servers import BareServer
from bench.loadgen.transport import Source, Transport
from bench.loadgen.venue import Habits, VenueError

PATIENCE: Final = 20.0  # seconds until it is ready, or gone


class BareVenue:
    """Everybody has one socket. The forwarder starts once all are there, and ends with them."""

    def __init__(self, server: BareServer, habits: Habits) -> None:
        self._server = server
        self._habits = habits
        self._people: list[BarePerson] = []
        self._process: asyncio.subprocess.Process | None = None
        self.core = server.core

    @property
    def pid(self) -> int:
        """Raises VenueError before `gathered`."""
        if self._process is None:
            raise VenueError("the forwarder starts once everybody is there")
        return self._process.pid

    def person(self, room: str, name: str) -> BarePerson:
        """Somebody new, not yet joined."""
        person = BarePerson(room, self._server, self._habits)
        self._people.append(person)
        return person

    async def gathered(self) -> None:
        """Starts the forwarder with what everybody sends and is to get. Raises VenueError."""
        plan = json.dumps(self._plan()).encode() + b"\n"
        self._process = process = await asyncio.create_subprocess_exec(
            *self._server.command,
            *("--listen", f"{self._server.host}:{self._server.port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(plan)
        try:
            said = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        except TimeoutError:
            raise VenueError("the bare forwarder is not ready in time") from None
        if said != b"ready\n":
            assert process.stderr is not None
            why = (await process.stderr.read()).decode(errors="replace").strip()
            raise VenueError(f"the bare forwarder did not start: {why}")

    async def counters(self) -> dict[str, int]:
        """It has none."""
        return {}

    async def close(self) -> None:
        """It ends when its standard input does."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _plan(self) -> dict[str, Any]:
        profile = "gcm" if self._habits.identity.profile.salt == _GCM_SALT else "cm"
        return {
            "profile": profile,
            "sources": [self._source(one) for one in self._people if one.source],
        }

    def _source(self, sender: BarePerson) -> dict[str, Any]:
        assert sender.source is not None
        return {
            "ssrc": sender.source.ssrc,
            "from": sender.address,
            **sender.ours.told(),
            "sinks": [
                {"to": one.address, "ssrc": one.next_ssrc(), **one.theirs.told()}
                for one in self._people
                if one.listens and one is not sender and one.room == sender.room
            ],
        }


class BarePerson:
    """Sends and gets by one socket, with keys of their own for each direction."""

    def __init__(self, room: str, server: BareServer, habits: Habits) -> None:
        profile = habits.identity.profile
        self.room = room
        self.ours = Secret.drawn(profile)
        self.theirs = Secret.drawn(profile)
        self.listens = False
        self.source: Source | None = None
        self.began = 0.0
        self._server = server
        self._habits = habits
        self._transport: Transport | None = None
        self._streams = 0

    @property
    def outgoing(self) -> Transport | None:
        return self._transport if self.source is not None else None

    @property
    def incoming(self) -> Transport | None:
        return self._transport if self.listens else None

    @property
    def failure(self) -> str | None:
        """Nobody says so here; what does not arrive is counted."""
        return None

    @property
    def address(self) -> str:
        """Of the socket, as the forwarder is told it. Raises VenueError before they joined."""
        if self._transport is None:
            raise VenueError("somebody has not joined")
        host, port = self._transport.here
        return f"{host}:{port}"

    async def publish(self, kind: Kind, source: Source, *, listens: bool = False) -> None:
        """Join; the track is forwarded after `BareVenue.gathered`."""
        self.source, self.listens = source, listens
        self._join().source = source

    async def listen(self, audio: int = 0, video: int = 0) -> None:
        """Join; tracks come after `BareVenue.gathered`."""
        self.listens = True
        self._join()

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def next_ssrc(self) -> int:
        """For one more stream that they get; one key needs many (RFC 3711 section 9.1)."""
        self._streams += 1
        return self._streams

    def _join(self) -> Transport:
        self.began = time.monotonic()
        habits = self._habits
        keys = Keys.given(habits.identity.profile, self.ours.joined, self.theirs.joined)
        self._transport = Transport(
            (self._server.host, self._server.port),
            Given(keys),
            habits.delays,
            tells=habits.tells,
            loses=habits.loses,
        )
        habits.attach(self._transport)
        return self._transport


_GCM_SALT: Final = 12  # bytes (RFC 7714 section 12); the other profile has 14


@dataclass(frozen=True, slots=True)
class Secret:
    """Master key and salt of one direction."""

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    @classmethod
    def drawn(cls, profile: Profile) -> Secret:
        """A fresh one."""
        return cls(secrets.token_bytes(profile.key), secrets.token_bytes(profile.salt))

    @property
    def joined(self) -> bytes:
        """As libsrtp takes it."""
        return self.key + self.salt

    def told(self) -> dict[str, str]:
        """As the forwarder takes it."""
        return {"key": self.key.hex(), "salt": self.salt.hex()}
