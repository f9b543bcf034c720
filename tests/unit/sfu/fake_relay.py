"""A relay that notes what it is told, and a call around it whose wire is a list."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, TypeVar

from sfu.commands import AddTrack, Command, OpenPeer, SendDtls
from sfu.events import Channel, Done, Dtls, Health, RelayEvent
from sfu.media import MediaPlane
from sfu.options import MediaOptions
from sfu.peer import Peer, Role
from sfu.placement import Placement, Seat, by_load
from sfu.worker import RelayRefused
from tests.unit.sfu.dtls_client import Client, settle
from tests.unit.sfu.sections import offer

C = TypeVar("C")


class FakeRelay:
    """`sfu.worker.Relay`, in memory."""

    def __init__(self, options: MediaOptions | None = None) -> None:
        port = 7882 if options is None else options.port
        self.addresses: list[tuple[str, int]] = [("192.0.2.1", port)]
        self.counted = {"packets_in": 7}
        self.commands: list[Command] = []
        self.closed = False
        self.refuse: str | None = None  # raise this from `apply`
        self.errors: dict[type, str] = {}  # answer a batch with such a command with this
        self._reader, self._writer = os.pipe()
        self.event_fd = self._reader
        self._events: list[RelayEvent] = []
        self._ticket = 0

    def apply(self, commands: Sequence[Command]) -> int:
        if self.refuse is not None:
            raise RelayRefused(self.refuse)
        self.commands += commands
        self._ticket += 1
        error = next((self.errors[type(one)] for one in commands if type(one) in self.errors), None)
        self.push(Done(self._ticket, error, None if error is None else 0))
        return self._ticket

    def push(self, event: RelayEvent) -> None:
        self._events.append(event)
        os.write(self._writer, b"x")

    def poll_events(self) -> list[RelayEvent]:
        events, self._events = self._events, []
        os.read(self._reader, 65536)
        return events

    def counters(self) -> dict[str, int]:
        return self.counted

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._reader)
            os.close(self._writer)

    def take(self, kind: type[C]) -> list[C]:
        """The commands of one kind since the last time, oldest first."""
        found: list[C] = [one for one in self.commands if isinstance(one, kind)]
        self.commands = [one for one in self.commands if not isinstance(one, kind)]
        return found


class Heard:
    """A peer's owner."""

    def __init__(self) -> None:
        self.connected = 0
        self.failures: list[str] = []
        self.data: list[tuple[Channel, bytes]] = []
        self.channels_open = 0
        self.withheld: dict[str, bool] = {}
        self.health: list[Health] = []

    def on_connected(self) -> None:
        self.connected += 1

    def on_failed(self, code: str, sentence: str) -> None:
        assert sentence.endswith(".")
        self.failures.append(code)

    def on_data(self, channel: Channel, payload: bytes) -> None:
        self.data.append((channel, payload))

    def on_channels_open(self) -> None:
        self.channels_open += 1

    def on_withheld(self, track_id: str, withheld: bool) -> None:
        self.withheld[track_id] = withheld

    def on_health(self, health: Health) -> None:
        self.health.append(health)


class Stage:
    """A media plane on fake relays."""

    def __init__(self, *, seat: Seat = by_load, **options: Any) -> None:
        self.now = 0.0
        self.relays: list[FakeRelay] = []
        self.interfaces: list[tuple[str, str]] = []  # of the machine
        self.plane = MediaPlane(
            MediaOptions(**options),
            clock=lambda: self.now,
            entropy=os.urandom,
            open_relay=lambda options: self._open(options),
            interfaces=lambda: self.interfaces,
            seat=seat,
        )

    def _open(self, options: MediaOptions) -> FakeRelay:
        self.relays.append(FakeRelay(options))
        return self.relays[-1]

    @property
    def relay(self) -> FakeRelay:
        return self.relays[-1]

    def open(self, role: Role = Role.SINGLE, placement: Placement | None = None) -> Participant:
        return Participant(self, role, placement)

    async def settle(self) -> None:
        for _ in range(5):
            await settle()
            await asyncio.sleep(0.001)  # the selector has to look at the pipe


class Participant:
    """A peer, its owner, and the client at the other end."""

    def __init__(self, stage: Stage, role: Role, placement: Placement | None = None) -> None:
        self.stage = stage
        self.heard = Heard()
        self.peer: Peer = stage.plane.open_peer(role, self.heard, placement)
        ((self.relay, self.opened),) = [
            (relay, opened) for relay in stage.relays for opened in relay.take(OpenPeer)
        ]
        self.client = Client()
        self.records: list[bytes] = []

    async def shake(self, client: Client | None = None) -> None:
        """Run the DTLS handshake as far as it goes."""
        client = client or self.client
        outgoing = client.step()
        for _ in range(8):
            for datagram in outgoing:
                self.relay.push(Dtls(self.peer.number, datagram))
            await self.stage.settle()
            self.records = [
                datagram
                for sent in self.relay.take(SendDtls)
                if sent.peer == self.peer.number
                for datagram in sent.datagrams
            ]
            outgoing = client.step(self.records)

    def tracks(self) -> list[AddTrack]:
        return [one for one in self.relay.take(AddTrack) if one.peer == self.peer.number]

    def offer(self, *sections: str, **changes: Any) -> str:
        return offer(self.client, *sections, **changes)
