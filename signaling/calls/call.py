"""The live side of one room: who is told what, and whose media goes where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from signaling.calls.events import (
    ConnectionsChanged,
    Event,
    NegotiationDue,
    PermissionChanged,
    QualityWanted,
    RosterChanged,
    SpeakersChanged,
    TrackHeard,
)
from signaling.calls.holding import Holding
from signaling.domain.condition import Condition
from signaling.domain.people import Departure, Participant
from signaling.domain.tracks import Track
from signaling.domain.viewing import TrackSetting
from signaling.ports import Clock, DataChannel, Later, PeerRole
from signaling.rooms.audience import Audience, Permission
from signaling.rooms.lifecycle import Step
from signaling.rooms.quality import Qualities
from signaling.rooms.room import Room
from signaling.rooms.speakers import Speaker, Speakers
from signaling.rooms.viewing import Viewing

if TYPE_CHECKING:
    from signaling.calls.member import Member


class Call:
    """A room and the members in it. Everything here returns at once."""

    def __init__(self, room: Room, clock: Clock, later: Later | None = None) -> None:
        self.room = room
        self._clock = clock
        self._viewing = Viewing()
        self._audience = Audience()
        self._speakers = Speakers()
        self._qualities = Qualities()
        self._members: dict[str, Member] = {}
        self._heard: set[str] = set()
        self._holding = Holding(later, self._time_is_up)

    def __len__(self) -> int:
        return len(self._members)

    def members(self) -> Iterator[Member]:
        return iter(tuple(self._members.values()))

    def member(self, sid: str) -> Member | None:
        return self._members.get(sid)

    def enter(
        self,
        member: Member,
        newcomer: Participant,
        *,
        auto_subscribe: bool,
        adaptive_stream: bool = False,
    ) -> Member | None:
        """Let a member in and subscribe it to what runs already; return the member it displaced.

        Raises `Refusal` `room_full`.
        """
        older = self.room.by_identity(newcomer.identity)
        gone = self.room.admit(newcomer)
        displaced = None if older is None else self._forget(older)
        self._members[newcomer.sid] = member
        self._audience.enter(newcomer.sid, auto_subscribe=auto_subscribe)
        self._viewing.enter(newcomer.sid, adaptive=adaptive_stream)
        joined = self.room.step(newcomer.sid, Step.WELCOMED)
        superseded = () if gone is None or gone.hidden else (gone,)
        if joined.hidden and superseded:
            self._tell_others(joined.sid, RosterChanged(superseded))
        elif superseded:
            self.announce(joined, superseded=superseded)
        else:
            self._mention(joined)
        for publisher in self.room:
            for track in publisher.tracks:
                self._settle(publisher, member, track.sid)
        return displaced

    def leave(self, sid: str, departure: Departure) -> None:
        """Take a member out and tell the others."""
        before = self.room[sid]
        gone = self.room.remove(sid, departure)
        self._forget(before)
        if before.tracks:
            self.announce(gone)
        else:
            self._mention(gone)

    def announce(
        self,
        participant: Participant,
        *,
        to_self: bool = False,
        superseded: tuple[Participant, ...] = (),
    ) -> None:
        """Tell the others, unless the participant is hidden, and on request itself."""
        if to_self:
            self._tell_self(participant)
        if not participant.hidden:
            self._tell_held(but=participant.sid)
            self._tell_others(participant.sid, RosterChanged((participant,), superseded))

    def connected(self, sid: str) -> None:
        """The participant's primary transport is up."""
        active = self.room.step(sid, Step.CONNECTED)
        self._tell_self(active)
        if active.tracks:
            self.announce(active)
        else:
            self._mention(active)
        known = self._qualities.known()
        seen = {of: known[of] for of in known if of == sid or not self.room[of].hidden}
        if seen:
            self._members[sid].tell(ConnectionsChanged(seen))

    def publish(self, sid: str, track: Track) -> None:
        """A track runs: the others learn of it before their media sections do."""
        publisher = self.room.publish(sid, track)
        self._viewing.publish(track, self._clock.monotonic())
        self.announce(publisher)
        for member in self.members():
            self._settle(publisher, member, track.sid)

    def unpublish(self, sid: str, track_sid: str) -> None:
        publisher = self.room.unpublish(sid, track_sid)
        self._drop_tracks((track_sid,))
        self.announce(publisher)
        self._say(self._speakers.forget_track(sid, track_sid))

    def set_muted(self, sid: str, track: Track, muted: bool) -> None:
        self.announce(self.room.amend(sid, replace(track, muted=muted)), to_self=True)
        if muted:
            self._say(self._speakers.forget_track(sid, track.sid))
        else:
            self._viewing.repeat(track.sid)
            self.tick(sid)

    def amend(self, sid: str, track: Track) -> None:
        self.announce(self.room.amend(sid, track), to_self=True)

    def tick(self, sid: str) -> None:
        """Tell a publisher which of its layers are wanted, where that is due."""
        now = self._clock.monotonic()
        for track in self.room[sid].tracks:
            highest = self._viewing.due(track.sid, now)
            if highest is not None:
                event = QualityWanted(track.sid, track.mime_type, highest)
                self._members[sid].tell(event)

    def deadline(self, sid: str) -> float | None:
        """When :meth:`tick` has something to do, monotonic seconds; None for not by itself."""
        due = (self._viewing.deadline(track.sid) for track in self.room[sid].tracks)
        return min((each for each in due if each is not None), default=None)

    def view(self, sid: str, track_sid: str, setting: TrackSetting) -> None:
        """How a member wants a track shown, whether it hears it yet or not."""
        publisher = self.room.owner_of(track_sid)
        if publisher is None or publisher.hidden or publisher.sid == sid:
            return
        if self._viewing.set(sid, track_sid, setting) and self._members[sid].hears(track_sid):
            self._show(publisher, self._members[sid], track_sid)

    def subscribe(self, sid: str, track_sid: str, wanted: bool) -> bool:
        """An explicit wish; False when the member can see no such track."""
        publisher = self.room.owner_of(track_sid)
        if publisher is None or publisher.hidden or publisher.sid == sid:
            return False
        self._audience.wish(sid, track_sid, wanted)
        self._settle(publisher, self._members[sid], track_sid)
        if wanted and not self._may_hear(publisher, self.room[sid], track_sid):
            self._members[sid].tell(PermissionChanged(publisher.sid, track_sid, False))
        return True

    def permit(self, sid: str, permission: Permission) -> None:
        """The publisher `sid` decides anew who may hear it."""
        publisher = self.room[sid]
        pairs = [
            (m, track.sid) for m in self.members() for track in publisher.tracks if m.sid != sid
        ]
        before = [self._audience.permits(publisher, self.room[m.sid], t) for m, t in pairs]
        self._audience.permit(sid, permission)
        for (member, track_sid), was in zip(pairs, before, strict=True):
            allowed = self._audience.permits(publisher, self.room[member.sid], track_sid)
            if allowed != was and not publisher.hidden:
                member.tell(PermissionChanged(sid, track_sid, allowed))
            self._settle(publisher, member, track_sid)

    def hear(self, levels: Iterable[tuple[str, float]]) -> None:
        """Loudness by track sid; strangers, hidden and muted ones say nothing."""
        heard = []
        for track_sid, level in levels:
            owner = self.room.owner_of(track_sid)
            track = None if owner is None else owner.track(track_sid)
            if owner is None or track is None or owner.hidden or track.muted:
                continue
            heard.append((owner.sid, track_sid, level))
        self._say(self._speakers.hear(heard))

    def feel(self, sid: str, role: PeerRole, condition: Condition) -> None:
        """How a member's transport does: whoever sees the member is told where that changes."""
        quality = self._qualities.take(sid, role.value, condition)
        if quality is None:
            return
        if self.room[sid].hidden:
            self._members[sid].tell(ConnectionsChanged({sid: quality}))
        elif not self._holding.add_quality(sid, quality, len(self)):
            self._tell_others("", ConnectionsChanged({sid: quality}))

    def relay(self, sid: str, channel: DataChannel, payload: bytes) -> int:
        """Send to everybody but the sender; returns how many could not take it."""
        if sid in self._holding:
            self._tell_held()  # nobody hears from somebody unknown
        dropped = 0
        for member in self.members():
            if member.sid != sid and not member.send_data(channel, payload):
                dropped += 1
        return dropped

    def _mention(self, participant: Participant) -> None:
        """Tell of somebody who publishes nothing, when it suits."""
        if not participant.hidden and not self._holding.add(participant, len(self)):
            self.announce(participant)

    def _tell_held(self, *, but: str = "") -> None:
        """Those told of are told too, which they know already: one message serves everybody."""
        if held := self._holding.take(but=but):
            self._tell_others("", RosterChanged(held))

    def _time_is_up(self) -> None:
        self._tell_held()  # nobody is told of a connection of somebody unknown
        held = self._holding.take_qualities()
        if seen := {sid: held[sid] for sid in held if sid in self.room}:
            self._tell_others("", ConnectionsChanged(seen))

    def _tell_self(self, participant: Participant) -> None:
        if participant.sid in self._members:
            self._members[participant.sid].tell(RosterChanged((participant,)))

    def _may_hear(self, publisher: Participant, listener: Participant, track_sid: str) -> bool:
        return listener.grant.can_subscribe and self._audience.permits(
            publisher, listener, track_sid
        )

    def _settle(self, publisher: Participant, member: Member, track_sid: str) -> None:
        wanted = self._audience.listens(publisher, self.room[member.sid], track_sid)
        if wanted == member.hears(track_sid):
            return
        if not wanted:
            self._stop_hearing(member, track_sid)
        else:
            member.hear(publisher.sid, track_sid)
            self._show(publisher, member, track_sid)
            if track_sid not in self._heard:
                self._heard.add(track_sid)
                self._members[publisher.sid].tell(TrackHeard(track_sid))
        member.tell(NegotiationDue())

    def _show(self, publisher: Participant, member: Member, track_sid: str) -> None:
        track = publisher.track(track_sid)
        if track is not None:
            now = self._clock.monotonic()
            member.show(track_sid, self._viewing.show(member.sid, track, now))
            self.tick(publisher.sid)

    def _stop_hearing(self, member: Member, track_sid: str) -> None:
        member.stop_hearing(track_sid)
        self._viewing.hide(member.sid, track_sid, self._clock.monotonic())

    def _drop_tracks(self, track_sids: Iterable[str]) -> None:
        for track_sid in track_sids:
            self._audience.forget_track(track_sid)
            self._viewing.forget_track(track_sid)
            self._heard.discard(track_sid)
            for member in self.members():
                if member.hears(track_sid):
                    self._stop_hearing(member, track_sid)
                    member.tell(NegotiationDue())

    def _forget(self, before: Participant) -> Member:
        member = self._members.pop(before.sid)
        self._audience.leave(before.sid)
        self._viewing.leave(before.sid, self._clock.monotonic())
        self._speakers.forget(before.sid)
        self._qualities.forget(before.sid)
        self._drop_tracks(track.sid for track in before.tracks)
        return member

    def _say(self, speakers: tuple[Speaker, ...]) -> None:
        if speakers:
            self._tell_others("", SpeakersChanged(speakers))

    def _tell_others(self, sid: str, event: Event) -> None:
        for member in self.members():
            if member.sid != sid:
                member.tell(event)
