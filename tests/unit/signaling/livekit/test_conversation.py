"""What becomes overdue in a conversation; time is moved, never waited for."""

from __future__ import annotations

from typing import Any

from livekit.protocol import models, rtc

from signaling.calls.calls import Calls
from signaling.calls.joining import JoinRequest
from signaling.domain.people import Client
from signaling.livekit.conversation import Conversation
from signaling.livekit.negotiation import PATIENCE
from signaling.livekit.packets import stamp
from signaling.livekit.session import GOODBYE_SECONDS
from signaling.livekit.tally import Tally
from signaling.policy.decide import Terms
from signaling.rooms.demand import FIRST_PATIENCE
from tests.unit.signaling.fakes import FakeAudit, FakeClock, FakeEntropy, FakeMedia, claims

PING = rtc.SignalRequest(ping=1).SerializeToString()


class Desk:
    """One client without a socket, also its own line."""

    def __init__(self, *, terms: Terms | None = None) -> None:
        self.clock = FakeClock()
        self.media = FakeMedia()
        self.said: list[rtc.SignalResponse] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.tally = Tally()
        self._over = False
        self.calls = Calls(
            media=self.media,
            clock=self.clock,
            entropy=FakeEntropy(),
            audit=FakeAudit(),
            stamp=stamp,
            terms=terms,
        )
        request = JoinRequest(client=Client(protocol=17))
        self.conversation = Conversation(
            member=self.calls.prepare(claims(name="Ada Lovelace"), request),
            dual=False,
            offer=None,
            clock=self.clock,
            tally=self.tally,
            line=self,
        )
        self.conversation.start()

    def send(self, message: rtc.SignalResponse) -> None:
        self.said.append(message)

    def negotiate_soon(self) -> None:
        self.conversation.negotiate()

    def finished(self) -> None:
        self._over = True

    def ended(self) -> bool:
        return self._over

    def log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    def live(self, seconds: int) -> None:
        """Let time pass as a client that pings sees it."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            self.conversation.receive(PING)
            self.conversation.tick()

    def leave(self) -> rtc.LeaveRequest:
        return self.said[-1].leave


def test_a_silent_client_is_taken_for_gone() -> None:
    desk = Desk()
    desk.clock.advance(14.9)
    desk.conversation.tick()
    assert not desk.ended()
    desk.clock.advance(0.1)
    desk.conversation.tick()
    assert desk.ended()
    assert desk.leave().reason == models.DisconnectReason.CONNECTION_TIMEOUT
    assert desk.leave().action == rtc.LeaveRequest.Action.RECONNECT
    assert desk.calls.participant_count == 0
    assert desk.media.open_count() == 0


def test_a_client_that_never_connects_is_told_so_after_a_minute() -> None:
    desk = Desk()
    desk.live(59)
    assert not desk.ended()
    desk.live(1)
    assert desk.ended()
    assert desk.leave().reason == models.DisconnectReason.JOIN_FAILURE


def test_a_connected_client_stays_as_long_as_it_speaks() -> None:
    desk = Desk()
    desk.media.peers[0].events.on_connected()
    desk.live(600)
    assert not desk.ended()


def test_a_grant_ends_on_time_whatever_the_relay_does() -> None:
    desk = Desk(terms=Terms(grant_lifetime=30.0))
    desk.media.peers[0].events.on_connected()
    desk.live(29)
    assert not desk.ended()
    assert desk.conversation.deadline() == desk.clock.monotonic() + 1.0
    desk.live(1)
    assert desk.leave().reason == models.DisconnectReason.PARTICIPANT_REMOVED
    assert desk.calls.participant_count == 0


def test_a_client_that_closes_its_transport_has_a_moment_to_say_that_it_leaves() -> None:
    desk = Desk()
    events = desk.media.peers[0].events
    events.on_connected()
    events.on_failed("transport_closed", "The client closed the transport.")
    assert not desk.ended()
    desk.conversation.receive(rtc.SignalRequest(leave={}).SerializeToString())
    assert desk.ended()
    assert desk.tally.departures == {"client_initiated": 1}
    assert not any(message.HasField("leave") for message in desk.said)


def test_a_client_that_closes_its_transport_and_stays_is_asked_to_join_afresh() -> None:
    desk = Desk()
    events = desk.media.peers[0].events
    events.on_connected()
    events.on_failed("transport_closed", "The client closed the transport.")
    assert desk.conversation.deadline() == desk.clock.monotonic() + GOODBYE_SECONDS
    desk.live(1)
    assert not desk.ended()
    desk.live(1)
    assert desk.leave().reason == models.DisconnectReason.MEDIA_FAILURE
    assert desk.leave().action == rtc.LeaveRequest.Action.RECONNECT
    assert desk.calls.participant_count == 0


def test_after_the_end_nothing_is_said() -> None:
    desk = Desk()
    desk.conversation.receive("text")
    count = len(desk.said)
    desk.conversation.receive(PING)
    desk.conversation.tick()
    desk.conversation.negotiate()
    desk.media.peers[0].events.on_connected()
    assert len(desk.said) == count


def test_an_unserved_message_is_logged_once_and_without_names() -> None:
    desk = Desk()
    for _ in range(3):
        desk.conversation.receive(rtc.SignalRequest(simulate={}).SerializeToString())
    noted = [fields for event, fields in desk.logged if event == "message_unserved"]
    assert [fields["code"] for fields in noted] == ["simulate"]
    assert "Ada" not in repr(desk.logged)
    assert "ada" not in repr(desk.logged)


def test_patience_with_a_requested_offer_shortens_the_deadline() -> None:
    desk = Desk()
    desk.conversation.receive(
        rtc.SignalRequest(offer={"type": "offer", "sdp": "0:audio:recvonly"}).SerializeToString()
    )
    desk.media.peers[0].dirty = True
    desk.conversation.negotiate()
    assert desk.said[-1].HasField("media_sections_requirement")
    assert desk.conversation.deadline() == desk.clock.monotonic() + PATIENCE


def test_the_next_tick_is_due_when_a_publisher_is_to_be_told_that_nobody_watches() -> None:
    desk = Desk()
    track = rtc.AddTrackRequest(cid="cam", type=models.TrackType.VIDEO)
    desk.conversation.receive(rtc.SignalRequest(add_track=track).SerializeToString())
    offer = rtc.SessionDescription(type="offer", sdp="7:video:sendonly:cam", id=1)
    desk.conversation.receive(rtc.SignalRequest(offer=offer).SerializeToString())
    assert desk.conversation.deadline() == desk.clock.monotonic() + FIRST_PATIENCE
    desk.live(int(FIRST_PATIENCE) - 1)
    wanted = [each for each in desk.said if each.HasField("subscribed_quality_update")]
    assert wanted == []
    desk.live(1)
    assert desk.said[-1].HasField("subscribed_quality_update")
    assert desk.conversation.deadline() > desk.clock.monotonic() + FIRST_PATIENCE
