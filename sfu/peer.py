"""One peer: a transport, what is negotiated on it, and the tracks that flow either way."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from sfu.commands import (
    AddDowntrack,
    AddTrack,
    Command,
    MuteTrack,
    RemoveDowntrack,
    RemoveTrack,
    SetDowntrack,
    SetNotAfter,
    SwitchDowntrack,
)
from sfu.dtls import LocalCertificate, TransportFacts
from sfu.events import Channel, Health, PeerEvents
from sfu.negotiation import (
    Announced,
    Answerer,
    IncomingTrack,
    LocalTransport,
    Offerer,
    Outcome,
    OutgoingTrack,
    Viewer,
    Wanted,
)
from sfu.reach import Reach
from sfu.sdp import Candidate, read_fragment, write_fragment
from sfu.tracks import Choice, PublishedTrack, TrackRegistry
from sfu.transport import PeerTransport, Surroundings, TransportState


class Role(enum.StrEnum):
    """Which way a transport carries media, and who offers."""

    SINGLE = "single"  # the client offers, both ways
    PUBLISHER = "publisher"  # the client offers, towards us
    SUBSCRIBER = "subscriber"  # we offer, towards the client
    VIEWER = "viewer"  # the client offers, once, towards the client


@dataclass(frozen=True, slots=True)
class Publication:
    """An announced track whose section is negotiated."""

    track_id: str
    mid: str
    mime_type: str  # of the preferred format
    layers: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What one offer of the client's led to; `mid_to_track` is the full downstream map."""

    sdp: str
    mid_to_track: Mapping[str, str]
    published: tuple[Publication, ...]
    unpublished: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerReport:
    """What the transport negotiated, as recorded."""

    role: Role
    state: TransportState
    policy: str
    facts: TransportFacts | None
    failure: str | None


class Peer:
    """Made by `MediaPlane.open_peer`. Calls return at once; `events` come later, from the loop."""

    def __init__(
        self,
        number: int,
        role: Role,
        events: PeerEvents,
        surroundings: Surroundings,
        *,
        tracks: TrackRegistry,
        reach: Reach,
        certificate: LocalCertificate,
        candidates: tuple[Candidate, ...],
        next_number: Callable[[], int],
        on_closed: Callable[[Peer], None],
    ) -> None:
        self.number = number
        self.role = role
        self._events = events
        self._around = surroundings
        self._tracks = tracks
        self._reach = reach
        self._next_number = next_number
        self._on_closed = on_closed
        self._incoming: dict[str, int] = {}  # relay's track number by track id
        self._outgoing: dict[str, int] = {}  # relay's downtrack number by track id
        self._standing: dict[str, int] = {}  # a viewer's downtrack by mid, for as long as it views
        self._wanted: set[str] = set()
        self._choices: dict[str, Choice] = {}  # of wanted tracks
        self._muted: set[str] = set()
        self._used_ssrcs: set[int] = set()
        self._transport = PeerTransport(
            number,
            surroundings,
            certificate,
            self,
            opens_channels=role is Role.SUBSCRIBER,
        )
        self._fragment_head: tuple[str, ...] = ()
        self._local = local = LocalTransport(
            ufrag=self._transport.ufrag,
            password=self._transport.password,
            fingerprints=certificate.fingerprints,
            candidates=candidates,
            session_id=int.from_bytes(surroundings.entropy(8), "big") >> 1,
        )
        self._answerer: Answerer | Viewer | None = None
        self._offerer: Offerer | None = None
        self._engine: Answerer | Offerer | Viewer
        if role is Role.SUBSCRIBER:
            self._engine = self._offerer = Offerer(local)
        elif role is Role.VIEWER:
            self._engine = self._answerer = Viewer(local)
        else:
            self._engine = self._answerer = Answerer(local, receive_only=role is Role.PUBLISHER)

    # --- negotiation ---------------------------------------------------------------------------

    def answer(self, offer_sdp: str, announced: Sequence[Announced]) -> Answered:
        """Answer a client's offer. Raises `sfu.errors.SdpError`; nothing has changed then."""
        if self._answerer is None:
            raise RuntimeError("a subscriber's transport makes the offers")
        outcome = self._answerer.answer(offer_sdp, announced, self._new_ssrc)
        self._fragment_head = outcome.fragment_head
        unpublished = self._apply(outcome)
        return Answered(
            sdp=outcome.sdp,
            mid_to_track=dict(outcome.mid_to_track),
            published=tuple(
                Publication(
                    track_id=track.track_id,
                    mid=track.mid,
                    mime_type=track.preferred.mime_type,
                    layers=len(track.encodings),
                )
                for track in outcome.incoming_added
                if track.track_id in self._incoming
            ),
            unpublished=unpublished,
        )

    def offer(self) -> str:
        """Our next offer, also the first."""
        if self._offerer is None:
            raise RuntimeError("the client makes the offers on this transport")
        return self._offerer.offer(self._new_ssrc)

    def accept_answer(self, answer_sdp: str) -> None:
        """The client's answer to our last offer. Raises `sfu.errors.SdpError` as `answer` does."""
        if self._offerer is None:
            raise RuntimeError("the client makes the offers on this transport")
        self._apply(self._offerer.accept_answer(answer_sdp))

    def take_fragment(self, fragment: str) -> str | None:
        """The client's candidates, which are not needed: None. Other credentials than before begin
        a new ICE session: our fragment for it. Raises `sfu.errors.SdpError`.
        """
        remote = read_fragment(fragment)
        if self._answerer is None or remote is None or not self._transport.is_restart(remote):
            return None
        ours = self._transport.restart_ice(remote)
        self._local = replace(self._local, ufrag=ours.ufrag, password=ours.password)
        self._answerer.restarted(self._local)
        return write_fragment(self._fragment_head, ours, self._local.candidates)

    def needs_negotiation(self) -> bool:
        return not self._transport.is_over and self._engine.needs_negotiation()

    def missing_sections(self) -> tuple[int, int]:
        """(audio, video) sections that the client must still add for what is wanted."""
        return self._answerer.missing() if self._answerer is not None else (0, 0)

    # --- tracks --------------------------------------------------------------------------------

    def subscribe(self, track_id: str, stream_id: str) -> None:
        """Want a track, published or yet to come."""
        if self._transport.is_over or self.role is Role.PUBLISHER:
            return
        self._wanted.add(track_id)
        track = self._tracks.want(track_id, self, stream_id)
        if track is not None:
            self.track_published(track, stream_id)

    def unsubscribe(self, track_id: str) -> None:
        """Packets stop at once; the section follows at the next negotiation."""
        self._wanted.discard(track_id)
        self._choices.pop(track_id, None)
        self._tracks.unwant(track_id, self)
        if self._transport.is_over:
            return
        self._engine.unwant(track_id)
        downtrack = self._outgoing.pop(track_id, None)
        if downtrack is not None and self.role is Role.VIEWER:
            self._send(SwitchDowntrack(downtrack=downtrack, track=None, formats=()))
            self._fill()
        elif downtrack is not None:
            self._send(RemoveDowntrack(downtrack=downtrack))
        self._reach.leave(track_id, self.number)

    def choose(self, track_id: str, choice: Choice) -> None:
        """Carry this of a wanted track, now or once it is carried."""
        if track_id not in self._wanted or self._choices.get(track_id, Choice()) == choice:
            return
        self._choices[track_id] = choice
        downtrack = self._outgoing.get(track_id)
        if downtrack is not None:
            self._send(SetDowntrack(downtrack=downtrack, **asdict(choice)))
            self._reach.choose(track_id, self.number, choice)

    def set_muted(self, track_id: str, muted: bool) -> None:
        """Drop a published track's packets while muted; kept for a track still to be negotiated."""
        if muted:
            self._muted.add(track_id)
        else:
            self._muted.discard(track_id)
        track = self._incoming.get(track_id)
        if track is not None:
            self._send(MuteTrack(track=track, muted=muted))
            self._reach.mute(track_id, muted)

    def unpublish(self, track_id: str) -> None:
        """End one of this peer's tracks at once, for everybody."""
        self._muted.discard(track_id)
        if self._answerer is not None and not self._transport.is_over:
            self._answerer.end_track(track_id)
        track = self._incoming.pop(track_id, None)
        if track is not None:
            self._send(RemoveTrack(track=track))
            self._tracks.end(track_id)

    def track_published(self, track: PublishedTrack, stream_id: str) -> None:
        """From the registry: a wanted track can be carried."""
        wanted = Wanted(track.track_id, stream_id, track.kind, track.formats, track.redundant)
        self._engine.want(wanted)
        self._fill()

    def track_ended(self, track_id: str) -> None:
        """From the registry: its downtracks ended with it, or stand without it."""
        self._engine.unwant(track_id)
        self._outgoing.pop(track_id, None)
        self._fill()

    @property
    def downtracks(self) -> int:
        return len(self._outgoing)

    # --- transport -----------------------------------------------------------------------------

    def send_data(self, channel: Channel, payload: bytes) -> bool:
        """Queue one message; False when it was dropped."""
        return self._transport.send_data(channel, payload)

    def set_not_after(self, seconds: float | None) -> None:
        """The relay itself stops forwarding after so many seconds; None lifts the limit."""
        if not self._transport.is_over:
            self._send(SetNotAfter(peer=self.number, seconds_from_now=seconds))

    def report(self) -> PeerReport:
        return PeerReport(
            role=self.role,
            state=self._transport.state,
            policy=self._around.options.policy.name,
            facts=self._transport.facts,
            failure=self._transport.failure,
        )

    def withheld(self, downtrack: int, withheld: bool) -> None:
        """From the relay: whether the link has room for a downtrack."""
        for track_id, number in self._outgoing.items():
            if number == downtrack:
                self._tell(partial(self._events.on_withheld, track_id, withheld))

    def health(self, health: Health) -> None:
        """From the relay: how well packets go to and from the client."""
        self._tell(partial(self._events.on_health, health))

    def deliver(self, datagram: bytes) -> None:
        """A DTLS datagram from the relay."""
        self._transport.deliver(datagram)

    @property
    def datagrams_dropped(self) -> int:
        return self._transport.datagrams_dropped

    def fail(self, code: str, sentence: str) -> None:
        """From the media plane: the transport cannot go on."""
        self._transport.fail(code, sentence)

    def close(self) -> None:
        """End the transport and everything on it; idempotent, and no event comes afterwards."""
        if self._transport.state is TransportState.CLOSED:
            return
        self._transport.close()
        self._leave_tracks()
        self._on_closed(self)

    def transport_connected(self) -> None:
        self._tell(self._events.on_connected)

    def transport_failed(self, code: str, sentence: str) -> None:
        self._leave_tracks()
        self._tell(lambda: self._events.on_failed(code, sentence))

    def transport_data(self, channel: Channel, payload: bytes) -> None:
        self._tell(lambda: self._events.on_data(channel, payload))

    def transport_channels_open(self) -> None:
        self._tell(self._events.on_channels_open)

    # --- inside --------------------------------------------------------------------------------

    def _apply(self, outcome: Outcome) -> tuple[str, ...]:
        """Make the relay do what was negotiated; the tracks that are gone for good."""
        if self._transport.is_over:
            return ()
        stays = {track.track_id for track in outcome.incoming_added}
        gone: list[str] = []
        commands: list[Command] = []
        for track_id in outcome.incoming_removed:
            number = self._incoming.pop(track_id, None)
            if number is None:
                continue  # ended by us, and told already
            commands.append(RemoveTrack(track=number))
            self._tracks.end(track_id, returns=track_id in stays)
            if track_id not in stays:
                gone.append(track_id)
        for track_id in outcome.outgoing_removed:
            downtrack = self._outgoing.pop(track_id, None)
            if downtrack is not None:
                commands.append(RemoveDowntrack(downtrack=downtrack))
                self._reach.leave(track_id, self.number)
        for incoming in outcome.incoming_added:
            commands += self._accept(incoming)
        for outgoing in outcome.outgoing_added:
            commands += self._carry(outgoing)
        # The relay hears of tracks before anyone is told of them.
        if not self._transport.described(outcome.remote, data_channels=outcome.data_channel):
            return tuple(gone)
        self._send(*commands)
        for incoming in outcome.incoming_added:
            number = self._incoming[incoming.track_id]
            self._tracks.publish(
                PublishedTrack(
                    incoming.track_id,
                    number,
                    incoming.kind,
                    incoming.formats,
                    incoming.redundant,
                    clock_rate=incoming.clock_rate,
                    layers=len(incoming.encodings),
                    worker=self._reach.worker,
                    publisher=self.number,
                )
            )
        return tuple(gone)

    def _accept(self, incoming: IncomingTrack) -> Iterator[Command]:
        number = self._next_number()
        self._incoming[incoming.track_id] = number
        yield AddTrack(
            track=number,
            peer=self.number,
            kind=incoming.kind,
            mid=incoming.mid,
            clock_rate=incoming.clock_rate,
            formats=tuple((spec.payload_type, spec.codec) for spec in incoming.formats),
            extensions=incoming.extensions,
            encodings=tuple(_encoding(entry) for entry in incoming.encodings),
            nack=incoming.nack,
            repair_formats=incoming.repair_formats,
            repair_streams=incoming.repair_streams,
        )
        if incoming.track_id in self._muted:
            yield MuteTrack(track=number, muted=True)

    def _carry(self, outgoing: OutgoingTrack) -> Iterator[Command]:
        track = self._tracks.get(outgoing.track_id)
        if track is None:
            self._engine.unwant(outgoing.track_id)  # it ended while the answer was on its way
            return
        formats = tuple((spec.payload_type, spec.codec) for spec in outgoing.formats)
        choice = self._choices.get(outgoing.track_id, Choice())
        reached = self._reach.track(track, self.number, choice)
        standing = self._standing.get(outgoing.mid)
        if standing is not None:
            self._outgoing[outgoing.track_id] = standing
            yield SwitchDowntrack(downtrack=standing, track=reached, formats=formats)
            return
        number = self._next_number()
        self._outgoing[outgoing.track_id] = number
        stands = self.role is Role.VIEWER
        if stands:
            self._standing[outgoing.mid] = number
        yield AddDowntrack(
            downtrack=number,
            peer=self.number,
            track=reached,
            ssrc=outgoing.ssrc,
            formats=formats,
            extensions=outgoing.extensions,
            cname=outgoing.cname,
            nack=outgoing.nack,
            layer=choice.layer,
            paused=choice.paused,
            frame_rate=choice.frame_rate,
            priority=choice.priority,
            stands=stands,
            repair_ssrc=outgoing.repair_ssrc,
            repair_formats=outgoing.repair_formats,
        )

    def _fill(self) -> None:
        """A viewer's sections take tracks whenever they come, without another offer."""
        if isinstance(self._engine, Viewer) and not self._transport.is_over:
            for outgoing in self._engine.fill():
                self._send(*self._carry(outgoing))

    def _leave_tracks(self) -> None:
        """The relay forgets a closed peer's tracks by itself; the registry does so here."""
        incoming, self._incoming = self._incoming, {}
        for track_id in incoming:
            self._tracks.end(track_id)
        for track_id in self._wanted:
            self._tracks.unwant(track_id, self)
        self._wanted.clear()
        self._choices.clear()
        for track_id in self._outgoing:
            self._reach.leave(track_id, self.number)
        self._outgoing.clear()

    def _new_ssrc(self) -> int:
        """One never used under this peer's keys (DESIGN 2.8)."""
        while True:
            ssrc = int.from_bytes(self._around.entropy(4), "big")
            if ssrc and ssrc not in self._used_ssrcs:
                self._used_ssrcs.add(ssrc)
                return ssrc

    def _send(self, *commands: Command) -> None:
        if commands and not self._transport.is_over:
            self._around.send(self.number, commands)

    def _tell(self, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(self._told, call)

    def _told(self, call: Callable[[], None]) -> None:
        if self._transport.state is not TransportState.CLOSED:
            call()


def _encoding(written: str) -> int | str | None:
    """The relay's form of "ssrc:123", "rid:q" or "mid"."""
    kind, _, value = written.partition(":")
    if kind == "ssrc":
        return int(value)
    return value if kind == "rid" else None
