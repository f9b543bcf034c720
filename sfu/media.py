"""The media plane, and the only door to it: opens peers, and hears the relay."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sfu.candidates import Announcements, Interfaces, NothingToAnnounce, system_interfaces
from sfu.dtls import CertificateRotation
from sfu.events import (
    ConsentLost,
    Dtls,
    Expired,
    Health,
    Levels,
    PeerEvents,
    PlaneListener,
    RelayEvent,
    Withheld,
)
from sfu.handshakes import Handshakes
from sfu.options import MediaOptions
from sfu.peer import Peer, Role
from sfu.pipes import Pipes
from sfu.placement import Placement, Seat, by_load
from sfu.post import Post, Reports
from sfu.reach import Reach
from sfu.tracks import TrackRegistry
from sfu.transport import Surroundings
from sfu.worker import Relay, Worker

MEASURED_EVERY = 1.0
"""Seconds between two looks at how busy each worker is."""


class PeerRefused(Exception):
    """No peer can be opened. Codes: `server_full`, `media_unavailable`."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """How much one worker carries; `busy` is the share of a core that it takes."""

    number: int
    busy: float
    peers: int


@dataclass(frozen=True, slots=True)
class PlaneCounters:
    """For metrics, over all workers. Handshakes by outcome: "connected", or the code of a
    failure.
    """

    counters: Mapping[str, int]
    peers: int
    tracks: int
    downtracks: int
    handshakes_in_flight: int
    handshakes: Mapping[str, int]
    negotiated: Mapping[tuple[str, str], int]  # (suite, SRTP profile)
    workers: tuple[WorkerLoad, ...]


class MediaPlane:
    """Owns the workers and their peers. All calls come from the loop it was started on. Tracks go
    between all peers, wherever `seat` places them.

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
        seat: Seat = by_load,
    ) -> None:
        self._options = options
        self._announcements = Announcements(options, interfaces, clock)
        self._seat = seat
        self._listener: PlaneListener | None = None
        self._numbers = itertools.count(1)
        self._certificates = CertificateRotation(clock)
        self._tracks = TrackRegistry()
        self._handshakes = Handshakes(options.max_handshakes, clock)
        self._peers: dict[int, Peer] = {}
        self._places: dict[int, tuple[Placement, Post]] = {}  # by peer
        self._datagrams_dropped = 0  # of peers that are gone
        self._commands_refused = 0
        self._entropy = entropy
        self._clock = clock
        self._measuring: asyncio.TimerHandle | None = None
        reports = Reports(event=self._handle, refused=self._refused, died=self._worker_died)
        self._posts = tuple(
            Post(number, options, open_relay, clock, reports) for number in range(options.workers)
        )
        self._pipes = Pipes(
            self._posts,
            self._tracks,
            options.policy.srtp_profiles[0],
            entropy=entropy,
            next_number=lambda: next(self._numbers),
        )

    async def start(self) -> None:
        """Open the sockets of all workers.

        Raises `OSError` when one cannot be opened, `NothingToAnnounce` when no client could be told
        where they are.
        """
        try:
            for post in self._posts:
                post.open()
                if not self._announcements.of(post.addresses):
                    raise NothingToAnnounce
        except (OSError, NothingToAnnounce):
            self._close_posts()
            raise
        self._keep_measuring()

    async def close(self) -> None:
        """Close every peer, with a goodbye, then the workers; idempotent."""
        for peer in list(self._peers.values()):
            peer.close()
        if self._measuring is not None:
            self._measuring.cancel()
        self._close_posts()

    def listen(self, listener: PlaneListener) -> None:
        """Set the one listener."""
        self._listener = listener

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where the workers listen."""
        return [address for post in self._posts if post.works for address in post.addresses]

    @property
    def working(self) -> bool:
        """Whether a worker runs."""
        return any(post.works for post in self._posts)

    @property
    def certificate_age(self) -> float:
        """Seconds since the current DTLS certificate was made."""
        return self._certificates.age()

    def open_peer(self, role: Role, events: PeerEvents, placement: Placement | None = None) -> Peer:
        """Make a transport, near the others of its placement. Raises `PeerRefused`."""
        if len(self._peers) >= self._options.max_peers:
            raise PeerRefused("server_full", "This server has no room for another participant.")
        placement = Placement() if placement is None else placement
        post = self._choose(placement)
        number = next(self._numbers)
        peer = Peer(
            number,
            role,
            events,
            Surroundings(
                options=self._options,
                handshakes=self._handshakes,
                entropy=self._entropy,
                clock=self._clock,
                send=post.send,
            ),
            tracks=self._tracks,
            reach=Reach(self._pipes, post),
            certificate=self._certificates.current(),
            candidates=self._announcements.of(post.addresses),
            next_number=lambda: next(self._numbers),
            on_closed=self._closed,
        )
        self._peers[number] = peer
        self._places[number] = placement, post
        placement.enter(post)
        return peer

    def measure(self) -> None:
        """See how busy the workers are, and whether one that could not start can start now. Done
        every second from the start on.
        """
        for post in self._posts:
            post.revive()
            post.measure()

    def counters(self) -> PlaneCounters:
        counters: Counter[str] = Counter()
        for post in self._posts:
            counters.update(post.counters())
        dropped = sum(peer.datagrams_dropped for peer in self._peers.values())
        counters["dtls_queue_dropped"] = self._datagrams_dropped + dropped
        counters["dtls_deferred"] = self._handshakes.deferred
        counters["workers_died"] = sum(post.deaths for post in self._posts)
        counters["commands_refused"] = self._commands_refused
        counters["pipes_now"] = len(self._pipes)
        counters["piped_tracks_now"] = self._pipes.crossings
        return PlaneCounters(
            counters=counters,
            peers=len(self._peers),
            tracks=len(self._tracks),
            downtracks=sum(peer.downtracks for peer in self._peers.values()),
            handshakes_in_flight=self._handshakes.in_flight,
            handshakes=dict(self._handshakes.outcomes),
            negotiated=dict(self._handshakes.negotiated),
            workers=tuple(WorkerLoad(post.number, post.busy, post.peers) for post in self._posts),
        )

    # --- the workers ---------------------------------------------------------------------------

    def _choose(self, placement: Placement) -> Post:
        """Where a newcomer goes. Raises `PeerRefused`."""
        if not self.working:
            for post in self._posts:
                post.revive()
        chosen = self._seat(placement, self._posts, self._options.spill_at)
        if chosen is None:
            raise PeerRefused("media_unavailable", "This server cannot carry media at present.")
        return chosen

    def _keep_measuring(self) -> None:
        self.measure()
        loop = asyncio.get_running_loop()
        self._measuring = loop.call_later(MEASURED_EVERY, self._keep_measuring)

    def _close_posts(self) -> None:
        for post in self._posts:
            post.close()

    def _handle(self, event: RelayEvent) -> None:
        match event:
            case Dtls(number, datagram):
                peer = self._peers.get(number)
                if peer is not None:
                    peer.deliver(datagram)
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
            case _:
                pass  # MediaStarted, TrackStarted: nobody waits for them yet

    def _tell_levels(self, changes: Sequence[tuple[int, float]]) -> None:
        named = [(self._tracks.track_id(number), level) for number, level in changes]
        known = [(track_id, level) for track_id, level in named if track_id is not None]
        if known and self._listener is not None:
            self._listener.on_levels(known)

    def _worker_died(self, post: Post) -> None:
        """Its peers go with it; the process and the other workers' peers stay."""
        for number, (_, at) in list(self._places.items()):
            if at is post:
                self._fail(number, "media_restarted", "The media server had to start again.")
        self._pipes.died(post)

    def _refused(self, number: int, code: str) -> None:
        self._commands_refused += 1
        for peer in (number, *self._pipes.refused(number)):
            self._fail(peer, code, "The media server could not carry this.")

    def _fail(self, number: int, code: str, sentence: str) -> None:
        peer = self._peers.get(number)
        if peer is not None:
            peer.fail(code, sentence)

    def _closed(self, peer: Peer) -> None:
        if self._peers.pop(peer.number, None) is not None:
            self._datagrams_dropped += peer.datagrams_dropped
            placement, post = self._places.pop(peer.number)
            placement.leave(post)
