"""All calls of one node: joining them, looking at them, ending them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from signaling.calls.call import Call
from signaling.calls.joining import JoinRequest
from signaling.calls.member import Member
from signaling.domain import ids
from signaling.domain.errors import Refusal
from signaling.domain.grants import Claims, Grant
from signaling.domain.limits import Limits, check_profile
from signaling.domain.people import Departure, Participant
from signaling.policy.decide import Denied, Request, Terms, decide
from signaling.ports import Audit, Clock, DataChannel, Entropy, Later, Media, TransportReport
from signaling.rooms.room import Room


class Stamp(Protocol):
    """Puts the sender's true name on a data message. Raises `Refusal` for what must not be
    relayed: `data_malformed`, `data_addressed`, `data_kind`.
    """

    def __call__(self, channel: DataChannel, payload: bytes, sender: Participant) -> bytes: ...


class Calls:
    """The use cases' common ground. Single-threaded; every call returns at once."""

    def __init__(
        self,
        *,
        media: Media,
        clock: Clock,
        entropy: Entropy,
        audit: Audit,
        stamp: Stamp,
        terms: Terms | None = None,
        limits: Limits | None = None,
        later: Later | None = None,
    ) -> None:
        self.media = media
        self.clock = clock
        self.audit = audit
        self.stamp = stamp
        self.limits = limits or Limits()
        self.data_dropped: Counter[str] = Counter()
        self.tracks: dict[str, Call] = {}
        self._terms = terms or Terms()
        self._entropy = entropy
        self._later = later
        self._calls: dict[str, Call] = {}
        media.listen(self)

    # --- Joining --------------------------------------------------------------------------------

    def check(self, claims: Claims, request: JoinRequest) -> Grant:
        """Decide without effect. Raises `Refusal`: the policy's codes, `server_full`,
        `too_many_rooms`, `room_full`.
        """
        decision = decide(claims, Request(room=request.room), self.clock.now(), self._terms)
        if isinstance(decision, Denied):
            codes = [reason.code for reason in decision.reasons]
            self.audit.record("join_denied", codes=codes)
            raise decision.refusal()
        grant = decision.grant
        if self.participant_count >= self.limits.participants:
            raise Refusal("server_full", "The server has no place for anybody else.", status=503)
        call = self._calls.get(grant.room)
        if call is not None:
            call.room.check_space(grant.identity)
        elif len(self._calls) >= self.limits.rooms:
            raise Refusal("too_many_rooms", "The server has no place for a new room.", status=503)
        return grant

    def prepare(self, claims: Claims, request: JoinRequest) -> Member:
        """Everything of a join that can fail, transports included, before anybody is told.

        Raises the `Refusal` of `check`, and `server_full`.
        """
        grant = self.check(claims, request)
        metadata, attributes = claims.metadata, claims.attributes
        if grant.can_update_own_metadata:
            metadata = request.metadata or metadata
            own = {key: value for key, value in request.attributes if value}
            attributes = tuple({**dict(attributes), **own}.items())
            check_profile(claims.name, metadata, attributes)
        newcomer = Participant(
            sid=self.make_sid(ids.PARTICIPANT),
            identity=grant.identity,
            grant=grant,
            joined_at=self.clock.now(),
            name=claims.name,
            metadata=metadata,
            attributes=attributes,
            client=request.client,
        )
        return Member(self, grant, request, newcomer)

    # --- Looking --------------------------------------------------------------------------------

    @property
    def room_count(self) -> int:
        return len(self._calls)

    @property
    def participant_count(self) -> int:
        return sum(len(call) for call in self._calls.values())

    @property
    def track_count(self) -> int:
        return len(self.tracks)

    def participant_sid(self, identity: str, room: str) -> str | None:
        """The sid of whoever is in that room under that identity."""
        member = self._find(identity, room)
        return None if member is None else member.sid

    def transport_reports(self, identity: str, room: str) -> list[TransportReport]:
        """What that participant's transports negotiated; empty when it is not there."""
        member = self._find(identity, room)
        return [] if member is None else member.reports()

    # --- What the media plane tells -------------------------------------------------------------

    def on_levels(self, changes: Sequence[tuple[str, float]]) -> None:
        by_call: dict[Call, list[tuple[str, float]]] = {}
        for track_sid, level in changes:
            call = self.tracks.get(track_sid)
            if call is not None:
                by_call.setdefault(call, []).append((track_sid, level))
        for call, levels in by_call.items():
            call.hear(levels)

    # --- For members ----------------------------------------------------------------------------

    def make_sid(self, prefix: str) -> str:
        return ids.make_sid(prefix, self._entropy.token(ids.ENTROPY_BYTES))

    def call_for(self, grant: Grant) -> Call:
        """The room's call, begun if need be. Raises `Refusal` `too_many_rooms`."""
        call = self._calls.get(grant.room)
        if call is None:
            if len(self._calls) >= self.limits.rooms:
                raise Refusal(
                    "too_many_rooms", "The server has no place for a new room.", status=503
                )
            sid = self.make_sid(ids.ROOM)
            self.audit.record("room_started", room=sid)
            call = Call(
                Room(sid, grant.room, self.clock.now(), self.limits), self.clock, self._later
            )
            self._calls[grant.room] = call
        return call

    def end_if_empty(self, call: Call) -> None:
        """Empty rooms end."""
        if not len(call) and self._calls.get(call.room.name) is call:
            del self._calls[call.room.name]
            self.audit.record("room_ended", room=call.room.sid)

    def dismiss_all(self, departure: Departure, code: str, sentence: str) -> None:
        """Everybody out, and told why; one failure does not keep the others in."""
        with ExitStack() as last:
            for call in self._calls.values():
                for member in call.members():
                    last.callback(member.dismiss, departure, code, sentence)

    def _find(self, identity: str, room: str) -> Member | None:
        call = self._calls.get(room)
        participant = None if call is None else call.room.by_identity(identity)
        return None if call is None or participant is None else call.member(participant.sid)
