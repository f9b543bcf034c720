"""One participant's live side: its grant, its transports, and what it may do with them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from signaling.calls.call import Call
from signaling.calls.events import (
    DataDropped,
    Dismissed,
    Event,
    GoodbyeDue,
    Listener,
    NegotiationDue,
    TrackWithheld,
)
from signaling.calls.joining import JoinRequest, Welcome
from signaling.calls.publishing import Publications
from signaling.domain.condition import Condition
from signaling.domain.errors import Refusal
from signaling.domain.grants import Grant
from signaling.domain.limits import check_profile
from signaling.domain.people import Departure, Participant, ParticipantState
from signaling.domain.tracks import Track, TrackWish
from signaling.domain.viewing import TrackSetting, View
from signaling.ports import (
    CONSENT_LOST,
    MEDIA_RESTARTED,
    TRANSPORT_CLOSED,
    DataChannel,
    MediaPeer,
    Negotiated,
    PeerRole,
    Sections,
    TransportReport,
)
from signaling.rooms.audience import Permission

if TYPE_CHECKING:
    from signaling.calls.calls import Calls


class Member:
    """Prepared by :meth:`Calls.prepare`, in the call after :meth:`enter`, over after
    :meth:`leave`. What it refuses it refuses with `Refusal`, and nothing has changed then.
    """

    def __init__(self, calls: Calls, grant: Grant, request: JoinRequest, newcomer: Participant):
        self._calls = calls
        self._newcomer = newcomer
        self._request = request
        self.grant = grant
        self.sid = newcomer.sid
        self._call: Call | None = None
        self._listener: Listener | None = None
        self._over = False
        self._hears: set[str] = set()
        self._peers: dict[PeerRole, MediaPeer] = {}
        roles = _roles(request)
        try:
            for role in roles:
                self._peers[role] = calls.media.open_peer(role, _Transport(self, role), grant.room)
        except Refusal:
            self._close_peers()
            raise
        self._uplink = self._peers[roles[0]]
        self._downlink = self._peers[roles[-1]]
        self._publications = Publications(calls, grant, self.sid, self._uplink)
        subscriber_first = request.dual and grant.can_subscribe
        self.primary = self._downlink.role if subscriber_first else self._uplink.role

    # --- Coming and going -----------------------------------------------------------------------

    def enter(self, listener: Listener) -> Welcome:
        """Step into the call; an older session of the same identity is dismissed.

        Raises `Refusal` `room_full`, `too_many_rooms`.
        """
        if self._over or self._call is not None:
            raise Refusal("join_too_late", "The join was given up before it began.", status=503)
        self._listener = listener
        if self.grant.not_after is not None:
            left = max(0.0, self.grant.not_after - self._calls.clock.now())
            for peer in self._peers.values():
                peer.set_not_after(left)
        self._call = call = self._calls.call_for(self.grant)
        try:
            call.room.check_space(self.grant.identity)
            self._calls.audit.record("participant_joined", room=call.room.sid, participant=self.sid)
            displaced = call.enter(
                self,
                self._newcomer,
                auto_subscribe=self._request.auto_subscribe,
                adaptive_stream=self._request.adaptive_stream,
            )
        except BaseException:
            if self.sid not in call.room:
                self._call = None
                self._calls.end_if_empty(call)
            raise
        if displaced is not None:
            displaced.displaced()
        return Welcome(call.room.view(), self.participant, call.room.others_seen_by(self.sid))

    def leave(self, departure: Departure) -> None:
        """Out of the call, transports closed, others told; idempotent."""
        if self._over:
            return
        self._over = True
        call, self._call = self._call, None
        with ExitStack() as last:  # whatever fails, the rest is done
            last.callback(self._close)
            if call is not None:
                last.callback(self._calls.end_if_empty, call)
                last.callback(call.leave, self.sid, departure)
                self._record_departure(call, departure)

    def displaced(self) -> None:
        """A newer session of the same identity has taken this one's place in the room."""
        self._over = True
        call, self._call = self._call, None
        self._close()
        self.tell(
            Dismissed(
                Departure.DUPLICATE_IDENTITY,
                "duplicate_identity",
                "Somebody joined with the same identity.",
            )
        )
        if call is not None:
            self._record_departure(call, Departure.DUPLICATE_IDENTITY)

    def dismiss(
        self, departure: Departure, code: str, sentence: str, *, again: bool = False
    ) -> None:
        """Leave, and tell the one who speaks with the participant why."""
        if not self._over:
            try:
                self.leave(departure)
            finally:
                self.tell(Dismissed(departure, code, sentence, again))

    def tick(self) -> None:
        """End what has outlived its grant, and do what has become due."""
        if self._expired():
            self.dismiss(Departure.GRANT_EXPIRED, "grant_expired", "The permission has ended.")
        elif self._call is not None:
            self._call.tick(self.sid)

    def deadline(self) -> float | None:
        """Monotonic seconds at which :meth:`tick` has something to do, as far as that is known."""
        return None if self._call is None else self._call.deadline(self.sid)

    # --- Looking --------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        return self._over

    @property
    def participant(self) -> Participant:
        """The current snapshot; only while in the call."""
        return self._in_call().room[self.sid]

    @property
    def active(self) -> bool:
        return not self._over and self.participant.state is ParticipantState.ACTIVE

    def reports(self) -> list[TransportReport]:
        return [peer.report() for peer in self._peers.values()]

    # --- Negotiating ----------------------------------------------------------------------------

    def answer_offer(self, sdp: str) -> Negotiated:
        """Answer the client's offer; tracks that came or went with it are announced.

        Raises the `Refusal` of :meth:`MediaPeer.answer`.
        """
        call = self._in_call()
        negotiated = self._uplink.answer(sdp, self._publications.waiting())
        self._publications.negotiated(call, negotiated)
        return negotiated

    def take_fragment(self, fragment: str) -> str | None:
        """Trickled candidates or an ICE restart of a client that offers once. Raises the `Refusal`
        of :meth:`MediaPeer.take_fragment`.
        """
        self._in_call()
        return self._uplink.take_fragment(fragment)

    def next_offer(self) -> str:
        """Our offer on the subscriber transport (dual)."""
        return self._downlink.offer()

    def accept_answer(self, sdp: str) -> None:
        """The client's answer to it. Raises the `Refusal` of :meth:`MediaPeer.accept_answer`."""
        self._downlink.accept_answer(sdp)

    def needs_negotiation(self) -> bool:
        return self._downlink.needs_negotiation()

    def missing_sections(self) -> Sections:
        return self._downlink.missing_sections()

    # --- Publishing -----------------------------------------------------------------------------

    def add_track(self, wish: TrackWish) -> Track:
        """Announce a track. Raises the `Refusal` of :meth:`Publications.announce`."""
        return self._publications.announce(self._in_call(), wish)

    def set_muted(self, track_sid: str, muted: bool) -> None:
        """Mute or unmute one's own track. Raises `Refusal` `track_not_found`."""
        self._publications.set_muted(self._in_call(), track_sid, muted)

    def describe_audio(self, track_sid: str, features: tuple[str, ...]) -> None:
        """New features of one's own track. Raises `Refusal` `track_not_found`."""
        self._publications.describe(self._in_call(), track_sid, audio_features=features)

    def describe_video(self, track_sid: str, width: int, height: int) -> None:
        """A new size, in pixels, of one's own track. Raises `Refusal` `track_not_found`."""
        self._publications.describe(self._in_call(), track_sid, width=width, height=height)

    def permit(self, permission: Permission) -> None:
        """Say who may hear one's tracks."""
        self._in_call().permit(self.sid, permission)

    # --- Listening ------------------------------------------------------------------------------

    def subscribe(self, track_sid: str, wanted: bool) -> bool:
        """Want, or no longer want, a track; False when there is none of that sid to be seen."""
        return self._in_call().subscribe(self.sid, track_sid, wanted)

    def view(self, track_sid: str, setting: TrackSetting) -> None:
        """Say how a track is to be shown. Of one that is not to be seen nothing comes anyhow."""
        self._in_call().view(self.sid, track_sid, setting)

    def hears(self, track_sid: str) -> bool:
        return track_sid in self._hears

    def hear(self, publisher_sid: str, track_sid: str) -> None:
        """The call gives this member a track. The stream id is LiveKit's `PA|TR`."""
        self._hears.add(track_sid)
        self._downlink.subscribe(track_sid, f"{publisher_sid}|{track_sid}")

    def show(self, track_sid: str, view: View) -> None:
        """The call gives this much of a track it gave."""
        self._downlink.choose(track_sid, view)

    def stop_hearing(self, track_sid: str) -> None:
        """The call takes it away."""
        self._hears.discard(track_sid)
        self._downlink.unsubscribe(track_sid)

    # --- Words and data -------------------------------------------------------------------------

    def revise(
        self, *, name: str | None, metadata: str | None, attributes: tuple[tuple[str, str], ...]
    ) -> None:
        """Change words about oneself: None leaves as is, attributes merge, an empty value deletes.

        Raises `Refusal` `update_not_allowed` or the codes of `check_profile`.
        """
        if not self.grant.can_update_own_metadata:
            raise Refusal("update_not_allowed", "The token does not allow changing metadata.")
        now = self.participant
        merged = {k: v for k, v in {**dict(now.attributes), **dict(attributes)}.items() if v}
        name = now.name if name is None else name
        metadata = now.metadata if metadata is None else metadata
        check_profile(name, metadata, tuple(merged.items()))
        call = self._in_call()
        changed = call.room.revise(
            self.sid, name=name, metadata=metadata, attributes=tuple(merged.items())
        )
        call.announce(changed, to_self=True)

    def send_data(self, channel: DataChannel, payload: bytes) -> bool:
        """Towards the client; False when it cannot take it."""
        return self._downlink.send_data(channel, payload)

    def tell(self, event: Event) -> None:
        """Pass an event to the one who speaks with the participant."""
        if self._listener is not None:
            self._listener.tell(event)

    # --- What the transports tell ---------------------------------------------------------------

    def transport_connected(self, role: PeerRole) -> None:
        if self._over or self._call is None:
            return
        self._record_evidence(self._call, self._peers[role].report())
        if role is self.primary and self.participant.state is ParticipantState.JOINED:
            self._call.connected(self.sid)

    def transport_failed(self, role: PeerRole, code: str, sentence: str) -> None:
        """A transport that never worked ends the visit; one that did, or that we lost ourselves, is
        worth a fresh join. One that the client closed is the first half of its goodbye.
        """
        if self._over or self._call is None:
            return
        if self._expired():
            self.tick()
            return
        if code == TRANSPORT_CLOSED:
            self.tell(GoodbyeDue())
            return
        if code == CONSENT_LOST:
            self._call.feel(self.sid, role, Condition(silent=True))
        self._calls.audit.record(
            "transport_failed",
            room=self._call.room.sid,
            participant=self.sid,
            role=role.value,
            code=code,
        )
        if self.active or code == MEDIA_RESTARTED:
            self.dismiss(Departure.MEDIA_FAILURE, code, sentence, again=True)
        else:
            self.dismiss(Departure.JOIN_FAILURE, code, sentence)

    def data_received(self, channel: DataChannel, payload: bytes) -> None:
        """Relay one message to the room, under the sender's true name."""
        if self._over or self._call is None:
            return
        try:
            if not self.grant.can_publish_data:
                raise Refusal("data_not_allowed", "The token does not allow sending data.")
            stamped = self._calls.stamp(channel, payload, self.participant)
        except Refusal as refusal:
            self._calls.data_dropped[refusal.code] += 1
            self.tell(DataDropped(refusal.code))
            return
        dropped = self._call.relay(self.sid, channel, stamped)
        if dropped:
            self._calls.data_dropped["receiver_not_ready"] += dropped

    def track_withheld(self, track_sid: str, withheld: bool) -> None:
        """What was already taken away is not told of."""
        if self._over or self._call is None or not self.hears(track_sid):
            return
        publisher = self._call.room.owner_of(track_sid)
        if publisher is not None:
            self.tell(TrackWithheld(publisher.sid, track_sid, withheld))

    def condition_changed(self, role: PeerRole, condition: Condition) -> None:
        if not self._over and self._call is not None:
            self._call.feel(self.sid, role, condition)

    def channels_open(self) -> None:
        if not self._over:
            self.tell(NegotiationDue())

    # --------------------------------------------------------------------------------------------

    def _expired(self) -> bool:
        until = self.grant.not_after
        return until is not None and not self._calls.clock.now() < until

    def _in_call(self) -> Call:
        if self._call is None or self._over:
            raise Refusal("not_in_call", "The call is over.")
        return self._call

    def _record_evidence(self, call: Call, report: TransportReport) -> None:
        """How this transport is encrypted: everything that may be known, and no key."""
        local, remote = report.local_fingerprint, report.remote_fingerprint
        self._calls.audit.record(
            "transport_connected",
            room=call.room.sid,
            participant=self.sid,
            role=report.role.value,
            policy=report.policy,
            dtls_version=report.dtls_version,
            cipher_suite=report.cipher_suite,
            group=report.group,
            signature=report.signature,
            peer_signature=report.peer_signature,
            srtp_profile=report.srtp_profile,
            local_fingerprint=local and f"{local.algorithm} {local.value}",
            remote_fingerprint=remote and f"{remote.algorithm} {remote.value}",
            flights=report.flights,
            handshake_ms=report.handshake_ms,
            keyed_at=report.keyed_at,
        )

    def _record_departure(self, call: Call, departure: Departure) -> None:
        self._calls.audit.record(
            "participant_left",
            room=call.room.sid,
            participant=self.sid,
            reason=departure.value,
        )

    def _close(self) -> None:
        self._publications.forget()
        self._close_peers()

    def _close_peers(self) -> None:
        for peer in self._peers.values():
            peer.close()


def _roles(request: JoinRequest) -> tuple[PeerRole, ...]:
    """The way up first, the way down last."""
    if request.only is not None:
        return (request.only,)
    return (PeerRole.PUBLISHER, PeerRole.SUBSCRIBER) if request.dual else (PeerRole.SINGLE,)


class _Transport:
    """Tells its member which of the transports spoke."""

    def __init__(self, member: Member, role: PeerRole) -> None:
        self._member = member
        self._role = role

    def on_connected(self) -> None:
        self._member.transport_connected(self._role)

    def on_failed(self, code: str, sentence: str) -> None:
        self._member.transport_failed(self._role, code, sentence)

    def on_data(self, channel: DataChannel, payload: bytes) -> None:
        self._member.data_received(channel, payload)

    def on_channels_open(self) -> None:
        self._member.channels_open()

    def on_withheld(self, track_id: str, withheld: bool) -> None:
        self._member.track_withheld(track_id, withheld)

    def on_condition(self, condition: Condition) -> None:
        self._member.condition_changed(self._role, condition)
