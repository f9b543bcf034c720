"""The media plane as the use cases know it: the only importer of `sfu`, and nothing but words
translated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sfu.candidates import NothingToAnnounce
from sfu.crypto_policy import by_name, narrowed
from sfu.dtls import TransportFacts
from sfu.errors import SdpError
from sfu.events import Channel, Health
from sfu.media import MediaPlane, PeerRefused
from sfu.negotiation import Announced, read_offer
from sfu.options import MediaOptions
from sfu.peer import Peer, Publication, Role
from sfu.placement import Placement
from sfu.sdp import Fingerprint as SdpFingerprint
from sfu.tracks import Choice
from signaling.domain.condition import Condition
from signaling.domain.errors import Refusal
from signaling.domain.viewing import View
from signaling.ports import (
    Clock,
    DataChannel,
    Entropy,
    Fingerprint,
    Media,
    MediaCounters,
    MediaKind,
    MediaListener,
    MediaPeer,
    Negotiated,
    OfferedSection,
    PeerEvents,
    PeerRole,
    PendingTrack,
    PublishedMedia,
    Sections,
    TransportReport,
    WorkerLoad,
)

_T = TypeVar("_T")


class UnreachableError(Exception):
    """No address of this machine can be given to clients."""


@dataclass(frozen=True, slots=True)
class MediaSetup:
    """Addresses are numeric; see `sfu.options.MediaOptions` for what each means."""

    binds: tuple[str, ...]
    port: int
    workers: int
    spill_at: float
    coalesce_us: int
    advertise: tuple[str, ...]
    interfaces: tuple[str, ...]
    policy: str
    suites: tuple[str, ...]
    srtp_profiles: tuple[str, ...]
    max_peers: int
    max_handshakes: int


async def open_media(setup: MediaSetup, clock: Clock, entropy: Entropy) -> SfuMedia:
    """The media plane, listening.

    Raises `OSError` when a socket cannot be opened, `ValueError` when no suite or profile is left,
    `UnreachableError` when clients could not be told of any address.
    """
    options = MediaOptions(
        binds=setup.binds,
        port=setup.port,
        workers=setup.workers,
        spill_at=setup.spill_at,
        coalesce_us=setup.coalesce_us,
        advertise=setup.advertise,
        interfaces=setup.interfaces,
        policy=narrowed(by_name(setup.policy), setup.suites, setup.srtp_profiles),
        max_peers=setup.max_peers,
        max_handshakes=setup.max_handshakes,
    )
    plane = MediaPlane(options, clock=clock.monotonic, entropy=entropy.token)
    try:
        await plane.start()
    except NothingToAnnounce as error:
        raise UnreachableError from error
    return SfuMedia(plane, clock)


class SfuMedia(Media):
    """`signaling.ports.Media` on a `MediaPlane` of this process, which runs on `clock` too."""

    def __init__(self, plane: MediaPlane, clock: Clock) -> None:
        self._plane = plane
        self._clock = clock
        self._placements: dict[str, Placement] = {}  # by room, while it has peers

    def listen(self, listener: MediaListener) -> None:
        self._plane.listen(listener)

    def read_offer(self, offer_sdp: str) -> tuple[OfferedSection, ...]:
        return tuple(
            OfferedSection(MediaKind(one.kind), one.sends, one.receives, one.usable)
            for one in _refusing(lambda: read_offer(offer_sdp))
        )

    def open_peer(self, role: PeerRole, events: PeerEvents, room: str) -> MediaPeer:
        try:
            placement = self._placements.get(room, Placement())
            peer = self._plane.open_peer(Role(role.value), _Events(events), placement)
        except PeerRefused as refused:
            raise Refusal(refused.code, refused.sentence, status=503) from refused
        self._placements[room] = placement
        return _SfuPeer(peer, self._clock, partial(self._closed, room))

    @property
    def working(self) -> bool:
        """Whether a relay worker runs, so that new peers can be opened."""
        return self._plane.working

    async def close(self) -> None:
        """End every transport, then the relay; idempotent."""
        await self._plane.close()

    def counters(self) -> MediaCounters:
        counted = self._plane.counters()
        return MediaCounters(
            counters=counted.counters,
            peers=counted.peers,
            tracks=counted.tracks,
            downtracks=counted.downtracks,
            handshakes_in_flight=counted.handshakes_in_flight,
            handshakes=counted.handshakes,
            negotiated=counted.negotiated,
            workers=tuple(WorkerLoad(one.number, one.busy, one.peers) for one in counted.workers),
        )

    def _closed(self, room: str) -> None:
        placement = self._placements.get(room)
        if placement is not None and not placement:
            del self._placements[room]


class _Events:
    """The owner's events, in its own words."""

    def __init__(self, events: PeerEvents) -> None:
        self.on_connected = events.on_connected
        self.on_failed = events.on_failed
        self.on_channels_open = events.on_channels_open
        self.on_withheld = events.on_withheld
        self._events = events

    def on_data(self, channel: Channel, payload: bytes) -> None:
        self._events.on_data(DataChannel(channel.value), payload)

    def on_health(self, health: Health) -> None:
        self._events.on_condition(
            Condition(
                loss_up=health.loss_up,
                loss_down=health.loss_down,
                round_trip=health.round_trip,
                withheld=health.withheld,
                silent=health.silent,
            )
        )


class _SfuPeer(MediaPeer):
    def __init__(self, peer: Peer, clock: Clock, on_closed: Callable[[], None]) -> None:
        self._peer = peer
        self._on_closed = on_closed
        self._clock = clock
        self._keyed_at: float | None = None  # Unix time, reckoned once

    @property
    def role(self) -> PeerRole:
        return PeerRole(self._peer.role.value)

    def answer(self, offer_sdp: str, pending: Sequence[PendingTrack]) -> Negotiated:
        announced = [
            Announced(one.track_id, one.cid, one.kind.value, one.redundant) for one in pending
        ]
        answered = _refusing(lambda: self._peer.answer(offer_sdp, announced))
        return Negotiated(
            sdp=answered.sdp,
            mid_to_track=answered.mid_to_track,
            published=tuple(_published(one) for one in answered.published),
            unpublished=answered.unpublished,
        )

    def offer(self) -> str:
        return self._peer.offer()

    def accept_answer(self, answer_sdp: str) -> None:
        _refusing(lambda: self._peer.accept_answer(answer_sdp))

    def subscribe(self, track_id: str, stream_id: str) -> None:
        self._peer.subscribe(track_id, stream_id)

    def unsubscribe(self, track_id: str) -> None:
        self._peer.unsubscribe(track_id)

    def choose(self, track_id: str, view: View) -> None:
        choice = Choice(
            layer=view.layer,
            paused=view.paused,
            frame_rate=view.frame_rate,
            priority=view.priority,
        )
        self._peer.choose(track_id, choice)

    def needs_negotiation(self) -> bool:
        return self._peer.needs_negotiation()

    def missing_sections(self) -> Sections:
        audio, video = self._peer.missing_sections()
        return Sections(audio=audio, video=video)

    def set_muted(self, track_id: str, muted: bool) -> None:
        self._peer.set_muted(track_id, muted)

    def unpublish(self, track_id: str) -> None:
        self._peer.unpublish(track_id)

    def send_data(self, channel: DataChannel, payload: bytes) -> bool:
        return self._peer.send_data(Channel(channel.value), payload)

    def set_not_after(self, seconds: float | None) -> None:
        self._peer.set_not_after(seconds)

    def take_fragment(self, fragment: str) -> str | None:
        return _refusing(lambda: self._peer.take_fragment(fragment))

    def report(self) -> TransportReport:
        report = self._peer.report()
        blank = TransportReport(
            role=self.role,
            state=report.state.value,
            policy=report.policy,
            failure=report.failure,
        )
        if report.facts is None:
            return blank
        if self._keyed_at is None:
            since = self._clock.monotonic() - report.facts.keyed_at
            self._keyed_at = self._clock.now() - since
        return _with_facts(blank, report.facts, keyed_at=self._keyed_at)

    def close(self) -> None:
        self._peer.close()
        self._on_closed()


def _with_facts(
    report: TransportReport, facts: TransportFacts, *, keyed_at: float
) -> TransportReport:
    return TransportReport(
        role=report.role,
        state=report.state,
        policy=report.policy,
        dtls_version=facts.dtls_version,
        cipher_suite=facts.cipher_suite,
        group=facts.group,
        signature=facts.course.signature,
        peer_signature=facts.course.peer_signature,
        extended_master_secret=facts.extended_master_secret,
        srtp_profile=facts.srtp_profile,
        local_fingerprint=_fingerprint(facts.local_fingerprint),
        remote_fingerprint=_fingerprint(facts.remote_fingerprint),
        flights=facts.course.flights,
        handshake_ms=round(facts.course.seconds * 1000, 3),
        keyed_at=round(keyed_at, 3),
        failure=report.failure,
    )


def _fingerprint(fingerprint: SdpFingerprint) -> Fingerprint:
    return Fingerprint(algorithm=fingerprint.algorithm, value=fingerprint.value)


def _published(publication: Publication) -> PublishedMedia:
    return PublishedMedia(
        track_id=publication.track_id,
        mid=publication.mid,
        mime_type=publication.mime_type,
        layers=publication.layers,
    )


def _refusing(call: Callable[[], _T]) -> _T:
    """A description that the media plane refuses is refused to the client."""
    try:
        return call()
    except SdpError as error:
        raise Refusal(error.code, error.sentence) from error
