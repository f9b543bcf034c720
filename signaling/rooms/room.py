"""One room: who is in it and what they publish.

Laws:
- one participant per identity; a newcomer displaces the older session;
- every change gives the participant a higher version;
- a track sid belongs to one participant, until it is unpublished or the participant is gone;
- a hidden participant is seen by nobody but itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from signaling.domain.errors import Refusal
from signaling.domain.limits import Limits
from signaling.domain.people import Departure, Participant, RoomView
from signaling.domain.tracks import Track
from signaling.rooms.lifecycle import Step, advance


class Room:
    """The mutable owner of a room's participants; hands out frozen snapshots."""

    def __init__(self, sid: str, name: str, created_at: float, limits: Limits) -> None:
        self.sid = sid
        self.name = name
        self._created_at = created_at
        self._limits = limits
        self._by_sid: dict[str, Participant] = {}
        self._by_identity: dict[str, str] = {}
        self._owners: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_sid)

    def __iter__(self) -> Iterator[Participant]:
        return iter(tuple(self._by_sid.values()))

    def __getitem__(self, sid: str) -> Participant:
        return self._by_sid[sid]

    def __contains__(self, sid: object) -> bool:
        return sid in self._by_sid

    def view(self) -> RoomView:
        seen = [participant for participant in self if not participant.hidden]
        return RoomView(
            sid=self.sid,
            name=self.name,
            created_at=self._created_at,
            participants=len(seen),
            publishers=sum(1 for participant in seen if participant.tracks),
            max_participants=self._limits.participants_per_room,
        )

    def by_identity(self, identity: str) -> Participant | None:
        sid = self._by_identity.get(identity)
        return None if sid is None else self._by_sid[sid]

    def owner_of(self, track_sid: str) -> Participant | None:
        """Who publishes that track now."""
        sid = self._owners.get(track_sid)
        return None if sid is None else self._by_sid[sid]

    def others_seen_by(self, sid: str) -> tuple[Participant, ...]:
        """The roster `sid` is shown: everybody else who is not hidden."""
        return tuple(p for p in self if p.sid != sid and not p.hidden)

    @property
    def track_count(self) -> int:
        return len(self._owners)

    def check_space(self, identity: str) -> None:
        """Raise `Refusal` `room_full` unless one more, or the same identity again, fits."""
        if identity in self._by_identity:
            return
        if len(self._by_sid) >= self._limits.participants_per_room:
            raise Refusal("room_full", "The room has no place left.", status=503)

    def admit(self, newcomer: Participant) -> Participant | None:
        """Let `newcomer` in; return the older session it displaced, already DISCONNECTED.

        Raises `Refusal` `room_full`; the room is then as it was.
        """
        self.check_space(newcomer.identity)
        older = self.by_identity(newcomer.identity)
        gone = None if older is None else self.remove(older.sid, Departure.DUPLICATE_IDENTITY)
        self._by_sid[newcomer.sid] = newcomer
        self._by_identity[newcomer.identity] = newcomer.sid
        return gone

    def step(self, sid: str, step: Step) -> Participant:
        """Move along the lifecycle. Raises `IllegalStep`."""
        return self._change(sid, state=advance(self._by_sid[sid].state, step))

    def check_track_space(self, sid: str, pending: int) -> None:
        """Raise `Refusal` `too_many_tracks` unless one more track fits beside `pending` ones."""
        if len(self._by_sid[sid].tracks) + pending >= self._limits.tracks_per_participant:
            raise Refusal("too_many_tracks", "No more tracks may be published.")

    def publish(self, sid: str, track: Track) -> Participant:
        """Add a track."""
        if track.sid in self._owners:
            raise ValueError("a track is published once")
        self._owners[track.sid] = sid
        return self._change(sid, tracks=(*self._by_sid[sid].tracks, track))

    def unpublish(self, sid: str, track_sid: str) -> Participant:
        """Take a track away."""
        if self._owners.get(track_sid) != sid:
            raise KeyError(track_sid)
        del self._owners[track_sid]
        kept = tuple(track for track in self._by_sid[sid].tracks if track.sid != track_sid)
        return self._change(sid, tracks=kept)

    def amend(self, sid: str, track: Track) -> Participant:
        """Replace a published track by a newer description of itself."""
        if self._owners.get(track.sid) != sid:
            raise KeyError(track.sid)
        tracks = tuple(track if t.sid == track.sid else t for t in self._by_sid[sid].tracks)
        return self._change(sid, tracks=tracks)

    def revise(
        self, sid: str, *, name: str, metadata: str, attributes: tuple[tuple[str, str], ...]
    ) -> Participant:
        """New words about oneself; sizes are the caller's to check."""
        return self._change(sid, name=name, metadata=metadata, attributes=attributes)

    def remove(self, sid: str, departure: Departure) -> Participant:
        """Take a participant out; the snapshot returned is DISCONNECTED and without tracks."""
        gone = self._change(
            sid,
            state=advance(self._by_sid[sid].state, Step.LEFT),
            departure=departure,
            tracks=(),
        )
        del self._by_sid[sid]
        del self._by_identity[gone.identity]
        self._owners = {track: owner for track, owner in self._owners.items() if owner != sid}
        return gone

    def _change(self, sid: str, **fields: Any) -> Participant:
        before = self._by_sid[sid]
        after = replace(before, version=before.version + 1, **fields)
        self._by_sid[sid] = after
        return after
