"""The room beside a slow and obvious roster, driven by anything anybody might do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from signaling.domain.errors import Refusal
from signaling.domain.grants import Grant, TrackSource
from signaling.domain.limits import Limits
from signaling.domain.people import Departure, Participant, ParticipantState
from signaling.domain.tracks import MediaKind, Track, TrackWish
from signaling.rooms.lifecycle import IllegalStep, Step
from signaling.rooms.room import Room

PLACES = 4
IDENTITIES = st.sampled_from(["ada", "bob", "cyd", "dee", "eve", "fay"])


def grant(identity: str, *, hidden: bool = False) -> Grant:
    return Grant(
        identity=identity,
        room="garden",
        not_after=None,
        can_publish=True,
        can_subscribe=True,
        can_publish_data=True,
        can_publish_sources=frozenset(),
        can_update_own_metadata=True,
        hidden=hidden,
    )


def track(sid: str) -> Track:
    wish = TrackWish(cid=sid, kind=MediaKind.AUDIO, source=TrackSource.MICROPHONE)
    return Track(sid=sid, wish=wish, muted=False)


@dataclass
class Entry:
    """One line of the obvious roster."""

    identity: str
    sid: str
    hidden: bool
    state: str = "JOINING"
    tracks: list[str] = field(default_factory=list)


class RoomBesideRoster(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.room = Room("RM_x", "garden", 0.0, Limits(participants_per_room=PLACES))
        self.roster: list[Entry] = []
        self.versions: dict[str, int] = {}
        self.count = 0

    @rule(identity=IDENTITIES, hidden=st.booleans())
    def somebody_comes(self, identity: str, hidden: bool) -> None:
        self.count += 1
        sid = f"PA_{self.count}"
        newcomer = Participant(sid, identity, grant(identity, hidden=hidden), joined_at=0.0)
        older = next((e for e in self.roster if e.identity == identity), None)
        if older is None and len(self.roster) == PLACES:
            with pytest.raises(Refusal) as refused:
                self.room.admit(newcomer)
            assert refused.value.code == "room_full"
            return
        gone = self.room.admit(newcomer)
        assert (gone.sid if gone else None) == (older.sid if older else None)
        if gone is not None:
            assert gone.departure is Departure.DUPLICATE_IDENTITY
            assert gone.tracks == ()
        self.roster = [e for e in self.roster if e.identity != identity]
        self.roster.append(Entry(identity, sid, hidden))

    @rule(data=st.data(), step=st.sampled_from([Step.WELCOMED, Step.CONNECTED]))
    def somebody_gets_on(self, data: st.DataObject, step: Step) -> None:
        entry = self._anybody(data)
        if entry is None:
            return
        after = {
            ("JOINING", Step.WELCOMED): "JOINED",
            ("JOINED", Step.CONNECTED): "ACTIVE",
        }.get((entry.state, step))
        if after is None:
            with pytest.raises(IllegalStep):
                self.room.step(entry.sid, step)
        else:
            self.room.step(entry.sid, step)
            entry.state = after

    @rule(data=st.data())
    def somebody_publishes(self, data: st.DataObject) -> None:
        entry = self._anybody(data)
        if entry is None:
            return
        self.count += 1
        self.room.publish(entry.sid, track(f"TR_{self.count}"))
        entry.tracks.append(f"TR_{self.count}")

    @rule(data=st.data())
    def somebody_unpublishes(self, data: st.DataObject) -> None:
        entry = self._anybody(data)
        if entry is None:
            return
        if not entry.tracks:
            with pytest.raises(KeyError):
                self.room.unpublish(entry.sid, "TR_none")
            return
        gone = data.draw(st.sampled_from(entry.tracks))
        self.room.unpublish(entry.sid, gone)
        entry.tracks.remove(gone)

    @rule(data=st.data())
    def nobody_unpublishes_what_is_another_s(self, data: st.DataObject) -> None:
        entry = self._anybody(data)
        strangers = [t for e in self.roster if e is not entry for t in e.tracks]
        if entry is not None and strangers:
            with pytest.raises(KeyError):
                self.room.unpublish(entry.sid, strangers[0])

    @rule(data=st.data())
    def somebody_goes(self, data: st.DataObject) -> None:
        entry = self._anybody(data)
        if entry is None:
            return
        gone = self.room.remove(entry.sid, Departure.CLIENT_INITIATED)
        assert gone.state is ParticipantState.DISCONNECTED
        assert gone.version > self.versions[entry.sid]
        self.roster.remove(entry)

    @invariant()
    def both_tell_the_same(self) -> None:
        if not hasattr(self, "room"):
            return
        real = [(p.identity, p.sid, p.state.name, [t.sid for t in p.tracks]) for p in self.room]
        obvious = [(e.identity, e.sid, e.state, e.tracks) for e in self.roster]
        assert sorted(real, key=str) == sorted(obvious, key=str)
        assert self.room.track_count == sum(len(e.tracks) for e in self.roster)
        for entry in self.roster:
            seen = {p.sid for p in self.room.others_seen_by(entry.sid)}
            assert seen == {e.sid for e in self.roster if not e.hidden and e is not entry}
            for sid in entry.tracks:
                owner = self.room.owner_of(sid)
                assert owner is not None
                assert owner.sid == entry.sid
        view = self.room.view()
        assert view.participants == sum(not e.hidden for e in self.roster)
        assert view.publishers == sum(not e.hidden and bool(e.tracks) for e in self.roster)

    @invariant()
    def versions_never_fall(self) -> None:
        if not hasattr(self, "room"):
            return
        for participant in self.room:
            assert participant.version >= self.versions.get(participant.sid, 0)
            self.versions[participant.sid] = participant.version

    def _anybody(self, data: Any) -> Entry | None:
        return data.draw(st.sampled_from(self.roster)) if self.roster else None


TestRoomBesideRoster = RoomBesideRoster.TestCase
TestRoomBesideRoster.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
