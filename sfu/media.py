"""The media plane, and the only door to it: opens peers, and hears the relay."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sfu.candidates import Interfaces, NothingToAnnounce, candidates, system_interfaces
from sfu.commands import Command
from sfu.dtls import CertificateRotation
from sfu.events import (
    ConsentLost,
    Done,
    Dtls,
    Expired,
    Health,
    Levels,
    PeerEvents,
    PlaneListener,
    RelayEvent,
    Withheld,
    WorkerDied,
)
from sfu.handshakes import Handshakes
from sfu.options import MediaOptions
from sfu.peer import Peer, Role
from sfu.tracks import TrackRegistry
from sfu.transport import Surroundings
from sfu.worker import Relay, RelayRefused, Worker


class PeerRefused(Exception):
    """No peer can be opened. Codes: `server_full`, `media_unavailable`."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class PlaneCounters:
    """For metrics. Handshakes by outcome: "connected", or the code of a failure."""

    counters: Mapping[str, int]
    peers: int
    tracks: int
    downtracks: int
    handshakes_in_flight: int
    handshakes: Mapping[str, int]
    negotiated: Mapping[tuple[str, str], int]  # (suite, SRTP profile)


class MediaPlane:
    """Owns the relay and its peers. All calls come from the loop it was started on.

    `clock` counts seconds and never goes back; `entropy` gives so many unpredictable bytes.
    """

    def __init__(
        self,
        options: MediaOptions,
        *,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
        open_relay: Callable[[MediaOptions], Relay] = Worker,
        interfaces: Interfaces = system_interfaces,
    ) -> None:
        self._options = options
        self._open_relay = open_relay
        self._interfaces = interfaces
        self._relay: Relay | None = None
        self._listener: PlaneListener | None = None
        self._numbers = itertools.count(1)
        self._certificates = CertificateRotation(clock)
        self._tracks = TrackRegistry()
        self._handshakes = Handshakes(options.max_handshakes, clock)
        self._peers: dict[int, Peer] = {}
        self._tickets: dict[int, int] = {}  # peer by ticket
        self._datagrams_dropped = 0  # of peers that are gone
        self._workers_died = 0
        self._commands_refused = 0
        self._around = Surroundings(
            options=options,
            handshakes=self._handshakes,
            entropy=entropy,
            clock=clock,
            send=self._send,
        )

    async def start(self) -> None:
        """Open the relay's sockets.

        Raises `OSError` when one cannot be opened, `NothingToAnnounce` when no client could be told
        where they are.
        """
        self._attach()
        if not candidates(self.addresses, self._options, self._interfaces):
            self._detach()
            raise NothingToAnnounce

    async def close(self) -> None:
        """Close every peer, with a goodbye, then the relay; idempotent."""
        for peer in list(self._peers.values()):
            peer.close()
        self._detach()

    def listen(self, listener: PlaneListener) -> None:
        """Set the one listener."""
        self._listener = listener

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where the relay listens."""
        return self._relay.addresses if self._relay is not None else ()

    @property
    def working(self) -> bool:
        """Whether a relay worker runs."""
        return self._relay is not None

    @property
    def certificate_age(self) -> float:
        """Seconds since the current DTLS certificate was made."""
        return self._certificates.age()

    def open_peer(self, role: Role, events: PeerEvents) -> Peer:
        """Make a transport. Raises `PeerRefused`."""
        if len(self._peers) >= self._options.max_peers:
            raise PeerRefused("server_full", "This server has no room for another participant.")
        if self._relay is None:
            self._reattach()
        if self._relay is None:
            raise PeerRefused("media_unavailable", "This server cannot carry media at present.")
        number = next(self._numbers)
        peer = Peer(
            number,
            role,
            events,
            self._around,
            tracks=self._tracks,
            certificate=self._certificates.current(),
            candidates=candidates(self._relay.addresses, self._options, self._interfaces),
            next_number=lambda: next(self._numbers),
            on_closed=self._closed,
        )
        self._peers[number] = peer
        return peer

    def counters(self) -> PlaneCounters:
        dropped = sum(peer.datagrams_dropped for peer in self._peers.values())
        counters = dict(self._relay.counters()) if self._relay is not None else {}
        counters["dtls_queue_dropped"] = self._datagrams_dropped + dropped
        counters["dtls_deferred"] = self._handshakes.deferred
        counters["workers_died"] = self._workers_died
        counters["commands_refused"] = self._commands_refused
        return PlaneCounters(
            counters=counters,
            peers=len(self._peers),
            tracks=len(self._tracks),
            downtracks=sum(peer.downtracks for peer in self._peers.values()),
            handshakes_in_flight=self._handshakes.in_flight,
            handshakes=dict(self._handshakes.outcomes),
            negotiated=dict(self._handshakes.negotiated),
        )

    # --- the relay -----------------------------------------------------------------------------

    def _attach(self) -> None:
        self._relay = self._open_relay(self._options)
        self._event_fd = self._relay.event_fd
        asyncio.get_running_loop().add_reader(self._event_fd, self._drain)

    def _reattach(self) -> None:
        try:
            self._attach()
        except OSError:
            self._relay = None  # tried again with the next peer

    def _detach(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            asyncio.get_running_loop().remove_reader(self._event_fd)
            relay.close()
        self._tickets.clear()

    def _send(self, peer: int, commands: tuple[Command, ...]) -> None:
        """Queue commands for a peer. What the relay refuses ends that peer, later: the caller is
        in the middle of something.
        """
        if self._relay is None:
            return
        try:
            self._tickets[self._relay.apply(commands)] = peer
        except RelayRefused as refusal:
            self._refused(peer, refusal.code)

    def _drain(self) -> None:
        """The relay's file descriptor woke."""
        relay = self._relay
        if relay is None:
            return
        for event in relay.poll_events():
            if self._relay is not relay:
                return  # it died among these events
            self._handle(event)

    def _handle(self, event: RelayEvent) -> None:
        match event:
            case Dtls(number, datagram):
                peer = self._peers.get(number)
                if peer is not None:
                    peer.deliver(datagram)
            case Done(ticket, error):
                number = self._tickets.pop(ticket, 0)
                if error is not None:
                    self._refused(number, f"relay_{error}")
            case ConsentLost(number):
                self._fail(number, "consent_lost", "The client has not been heard for 30 seconds.")
            case Expired(number):
                self._fail(number, "authority_expired", "The permission to be here has run out.")
            case Withheld(number, downtrack, withheld):
                peer = self._peers.get(number)
                if peer is not None:
                    peer.withheld(downtrack, withheld)
            case Health(number):
                peer = self._peers.get(number)
                if peer is not None:
                    peer.health(event)
            case Levels(changes):
                self._tell_levels(changes)
            case WorkerDied():
                self._worker_died()
            case _:
                pass  # MediaStarted, TrackStarted: nobody waits for them yet

    def _tell_levels(self, changes: Sequence[tuple[int, float]]) -> None:
        named = [(self._tracks.track_id(number), level) for number, level in changes]
        known = [(track_id, level) for track_id, level in named if track_id is not None]
        if known and self._listener is not None:
            self._listener.on_levels(known)

    def _worker_died(self) -> None:
        """Its peers go with it, the process stays, and new peers get a new worker."""
        self._workers_died += 1
        self._detach()
        for number in list(self._peers):
            self._fail(number, "media_restarted", "The media server had to start again.")
        self._reattach()

    def _refused(self, number: int, code: str) -> None:
        self._commands_refused += 1
        sentence = "The media server could not carry this."
        asyncio.get_running_loop().call_soon(self._fail, number, code, sentence)

    def _fail(self, number: int, code: str, sentence: str) -> None:
        peer = self._peers.get(number)
        if peer is not None:
            peer.fail(code, sentence)

    def _closed(self, peer: Peer) -> None:
        if self._peers.pop(peer.number, None) is not None:
            self._datagrams_dropped += peer.datagrams_dropped
