"""Nothing takes effect that could not be recorded first; leaving always does."""

from __future__ import annotations

from typing import Any

import pytest

from signaling.calls.calls import Calls
from signaling.calls.events import Event
from signaling.calls.joining import JoinRequest
from signaling.calls.member import Member
from signaling.domain.errors import Refusal
from signaling.domain.grants import TrackSource
from signaling.domain.people import Departure
from signaling.domain.tracks import MediaKind, TrackWish
from signaling.livekit.packets import stamp
from signaling.ports import PeerRole
from tests.unit.signaling.fakes import FakeAudit, FakeClock, FakeEntropy, FakeMedia, claims

MICROPHONE = TrackWish(cid="mic", kind=MediaKind.AUDIO, source=TrackSource.MICROPHONE)


class FragileAudit(FakeAudit):
    """Fails on one event."""

    def __init__(self, breaks_on: str = "") -> None:
        super().__init__()
        self.breaks_on = breaks_on

    def record(self, event: str, **fields: Any) -> None:
        if event == self.breaks_on:
            raise OSError("the disk is full")
        super().record(event, **fields)


class Ear:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


def house(audit: FakeAudit) -> Calls:
    return Calls(
        media=FakeMedia(), clock=FakeClock(), entropy=FakeEntropy(), audit=audit, stamp=stamp
    )


def joined(calls: Calls, identity: str) -> tuple[Member, Ear]:
    member, ear = calls.prepare(claims(identity), JoinRequest()), Ear()
    member.enter(ear)
    return member, ear


def test_the_record_of_a_call_names_nobody() -> None:
    audit = FakeAudit()
    member, _ = joined(house(audit), "ada")
    member.add_track(MICROPHONE)
    member.answer_offer("0:audio:sendonly:mic")
    member.answer_offer("0:audio:inactive")
    member.leave(Departure.CLIENT_INITIATED)
    assert audit.names() == [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
        "room_ended",
    ]
    assert "ada" not in repr(audit.events)
    assert "garden" not in repr(audit.events)


def test_how_each_transport_is_encrypted_is_recorded() -> None:
    audit = FakeAudit()
    calls = house(audit)
    member = calls.prepare(claims("ada"), JoinRequest(dual=True))
    member.enter(Ear())
    for role in (PeerRole.SUBSCRIBER, PeerRole.PUBLISHER):
        member.transport_connected(role)
    recorded = [fields for name, fields in audit.events if name == "transport_connected"]
    assert [fields["role"] for fields in recorded] == ["subscriber", "publisher"]
    assert all(fields["participant"] == member.sid for fields in recorded)


def test_who_cannot_be_recorded_does_not_get_in() -> None:
    calls = house(FragileAudit("participant_joined"))
    member = calls.prepare(claims("ada"), JoinRequest())
    with pytest.raises(OSError, match="disk"):
        member.enter(Ear())
    assert (calls.room_count, calls.participant_count) == (0, 0)


def test_a_track_that_cannot_be_recorded_is_not_seen() -> None:
    audit = FragileAudit("track_published")
    calls = house(audit)
    ada, _ = joined(calls, "ada")
    _, ear = joined(calls, "bob")
    ada.add_track(MICROPHONE)
    with pytest.raises(OSError, match="disk"):
        ada.answer_offer("0:audio:sendonly:mic")
    assert calls.track_count == 0
    assert ear.events == []


def test_leaving_happens_even_when_it_cannot_be_recorded() -> None:
    calls = house(FragileAudit("participant_left"))
    ada, _ = joined(calls, "ada")
    joined(calls, "bob")
    with pytest.raises(OSError, match="disk"):
        ada.leave(Departure.CLIENT_INITIATED)
    assert calls.participant_count == 1
    assert calls.participant_sid("ada", "garden") is None
    with pytest.raises(OSError, match="disk"):
        calls.dismiss_all(Departure.SERVER_SHUTDOWN, "server_stopping", "Stopping.")
    assert calls.participant_count == 0


def test_a_denied_join_is_recorded_with_its_reasons() -> None:
    audit = FakeAudit()
    with pytest.raises(Refusal):
        house(audit).prepare(claims(""), JoinRequest(room="cellar"))
    assert audit.events == [("join_denied", {"codes": ["identity_missing", "room_mismatch"]})]
