"""Whom the door refuses, and how little the room notices of those who misbehave behind it."""

from __future__ import annotations

import asyncio

import pytest
from livekit.protocol import models, rtc

from signaling.domain.errors import Refusal
from signaling.domain.limits import Limits
from signaling.livekit import outgoing, session
from signaling.livekit.door import Knock
from signaling.policy.decide import Terms
from signaling.ports import MEDIA_RESTARTED, DataChannel
from tests.patience import PATIENCE
from tests.unit.signaling.fakes import claims
from tests.unit.signaling.livekit.visitors import FakeSocket, House, Visitor, kinds, one, quiet

Action = rtc.LeaveRequest.Action


async def in_a_call() -> tuple[House, Visitor, Visitor]:
    """Two people of whom the first publishes, both caught up."""
    house = House(queue=64)
    ada, bob = await house.join("ada"), await house.join("bob")
    await ada.publish("mic", "audio", "7")
    await bob.offer("0:audio:recvonly", 2)
    for visitor in (ada, bob):
        visitor.news()
    return house, ada, bob


def untouched(house: House, ada: Visitor, bob: Visitor) -> bool:
    """Whether the call of two still runs and nobody was told anything."""
    running = not ada.task.done() and not bob.task.done()
    return running and len(bob.peers[0].bound) == 1 and not bob.news() and not ada.news()


@pytest.mark.parametrize(
    ("knock", "code", "status"),
    [
        (Knock("/rtc", {}, None), "token_missing", 401),
        (Knock("/rtc", {"access_token": "forged"}, None), "token_signature", 401),
        (Knock("/rtc", {"access_token": "eve", "room": "cellar"}, None), "room_mismatch", 401),
        (Knock("/rtc/v1", {"access_token": "eve"}, None), "join_request_missing", 400),
    ],
)
async def test_a_refusal_leaves_the_running_call_untouched(
    knock: Knock, code: str, status: int
) -> None:
    house, ada, bob = await in_a_call()
    house.authenticator.claims["eve"] = claims("eve")
    for enter in (house.door.validate, house.door.admit):
        with pytest.raises(Refusal) as refusal:
            await enter(knock)
        assert (refusal.value.code, refusal.value.status) == (code, status)
    assert house.door.tally.refusals[code] == 2
    assert untouched(house, ada, bob)


async def test_validating_has_no_effect() -> None:
    house = House()
    await house.door.validate(house.knock(claims("ada"), None))
    assert house.media.peers == []
    assert house.calls.room_count == 0


async def test_a_full_room_a_full_server_and_too_many_rooms_say_so() -> None:
    house = House(limits=Limits(participants_per_room=1, rooms=1))
    await house.join("ada")
    await house.join("ada")  # the same identity takes its own place
    for asked, code in ((claims("bob"), "room_full"), (claims("c", "cellar"), "too_many_rooms")):
        with pytest.raises(Refusal) as refusal:
            await house.door.admit(house.knock(asked, None))
        assert (refusal.value.code, refusal.value.status) == (code, 503)
    house.media.full = True
    with pytest.raises(Refusal) as refusal:
        await house.door.admit(house.knock(claims("ada"), None))
    assert refusal.value.code == "server_full"


async def test_an_abandoned_admission_leaves_nothing_behind() -> None:
    house = House()
    admission = await house.door.admit(house.knock(claims("ada"), None))
    assert house.media.open_count() == 2
    assert house.calls.participant_count == 0  # nobody is told before the upgrade
    admission.abandon()
    assert house.media.open_count() == 0
    socket = FakeSocket()
    await admission.run(socket)
    message = rtc.SignalResponse.FromString(socket.outbox[0])
    assert message.leave.reason == models.DisconnectReason.JOIN_FAILURE


async def test_who_loses_the_race_for_the_last_place_is_told_first_thing() -> None:
    house = House(limits=Limits(participants_per_room=1))
    admissions = [await house.door.admit(house.knock(claims(who), None)) for who in ("ada", "bob")]
    first, second = FakeSocket(), FakeSocket()
    running = asyncio.create_task(admissions[0].run(first))
    await quiet()
    await admissions[1].run(second)
    message = rtc.SignalResponse.FromString(second.outbox[0])
    assert message.leave.reason == models.DisconnectReason.JOIN_FAILURE
    assert house.calls.participant_count == 1
    assert house.media.open_count() == 2
    assert not running.done()


async def test_a_resume_is_told_to_join_afresh() -> None:
    house, ada, bob = await in_a_call()
    knock = house.knock(claims("ada"), rtc.JoinRequest(reconnect=True, participant_sid="PA_x"))
    socket = FakeSocket()
    await (await house.door.admit(knock)).run(socket)
    (message,) = [rtc.SignalResponse.FromString(data) for data in socket.outbox]
    assert message.leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert message.leave.action == Action.RECONNECT
    assert socket.closed
    assert untouched(house, ada, bob)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xff\xff\xff\xff", "frame_malformed"),
        (bytes(2 * 1024 * 1024), "frame_too_large"),
        ("{}", "text_frame"),
        (
            rtc.SignalRequest(offer={"type": "offer", "sdp": "garbage"}).SerializeToString(),
            "sdp_malformed",
        ),
    ],
)
async def test_an_unreadable_message_ends_its_sender_s_session_only(
    frame: bytes | str, code: str
) -> None:
    house, ada, bob = await in_a_call()
    eve = await house.join("eve")
    for visitor in (ada, bob, eve):
        visitor.news()
    await eve.say_raw(frame)
    news = eve.news()
    assert kinds(news) == ["request_response", "leave"]
    assert news[0].request_response.message.startswith(code)
    assert news[1].leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert news[1].leave.action == Action.DISCONNECT
    await eve.task
    assert eve.socket.closed
    assert house.door.tally.faults == {code: 1}
    for visitor in (ada, bob):
        assert kinds(visitor.news()) == ["update"]
    assert untouched(house, ada, bob)


async def test_a_message_illegal_now_is_answered_and_forgiven() -> None:
    house, ada, bob = await in_a_call()
    news = await bob.say(answer={"type": "answer", "sdp": "v=0", "id": 9})
    refused = one(news, "request_response").request_response
    assert refused.reason == rtc.RequestResponse.Reason.INVALID_REQUEST
    assert refused.message.startswith("message_illegal_now")
    assert untouched(house, ada, bob)


async def test_unserved_messages_are_counted_and_those_with_a_reply_get_it() -> None:
    house, ada, bob = await in_a_call()
    assert await bob.say(simulate=rtc.SimulateScenario(node_failure=True)) == []
    await bob.say_raw(b"")
    news = await bob.say(publish_data_track_request={"pub_handle": 3, "name": "x"})
    refused = one(news, "request_response").request_response
    assert refused.reason == rtc.RequestResponse.Reason.NOT_ALLOWED
    assert refused.publish_data_track.pub_handle == 3
    assert house.door.tally.unserved == {
        "simulate": 1,
        "unknown": 1,
        "publish_data_track_request": 1,
    }
    assert untouched(house, ada, bob)


async def test_a_slow_reader_is_given_up_and_the_room_does_not_wait() -> None:
    house, ada, bob = await in_a_call()
    eve = await house.join("eve")
    eve.socket.stop_reading()
    for visitor in (ada, bob):
        visitor.news()
    track = next(iter(ada.peers[0].published.values()))
    for count in range(200):
        await ada.say(mute=rtc.MuteTrackRequest(sid=track, muted=count % 2 == 0))
        if eve.task.done():
            break
    await asyncio.wait_for(eve.task, PATIENCE)
    assert eve.socket.closed
    assert eve.peers[0].closed
    assert house.door.tally.departures == {"slow_reader": 1}
    last = [p for m in bob.news() if m.HasField("update") for p in m.update.participants][-1]
    assert (last.identity, last.disconnect_reason) == ("eve", models.DisconnectReason.SIGNAL_CLOSE)
    assert not ada.task.done()
    assert not bob.task.done()


@pytest.mark.parametrize("defended", [False, True])
async def test_a_flood_of_changes_ends_its_author_and_not_those_who_are_told_of_it(
    monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    """Each change of a few bytes is told to everybody with all of its author's words."""
    if not defended:
        monkeypatch.setattr(session, "CHANGES_BURST", 1e9)
    house = House(queue_bytes=outgoing.MAX_BYTES)
    bob = await house.join("bob")
    eve = await house.join("eve", metadata="x" * 10_000)
    track = await eve.publish("mic", "audio", "7")
    bob.socket.stop_reading()  # for the moment: an honest client on a slow link
    for count in range(900):
        await eve.say(mute=rtc.MuteTrackRequest(sid=track, muted=count % 2 == 0))
    await asyncio.wait_for(eve.task if defended else bob.task, PATIENCE)
    assert eve.task.done() is defended
    assert bob.task.done() is not defended
    assert house.door.tally.departures == {"protocol_fault" if defended else "slow_reader": 1}


async def test_a_failed_transport_ends_the_visit_and_one_that_worked_is_worth_another() -> None:
    house, ada, bob = await in_a_call()
    eve = await house.join("eve", connected=False)
    eve.peers[0].events.on_failed("dtls_no_shared_cipher", "No cipher suite is shared.")
    await quiet()
    assert one(eve.news(), "leave").leave.reason == models.DisconnectReason.JOIN_FAILURE
    bob.peers[0].events.on_failed("consent_lost", "The other side is gone.")
    await quiet()
    leave = one(bob.news(), "leave").leave
    assert (leave.reason, leave.action) == (models.DisconnectReason.MEDIA_FAILURE, Action.RECONNECT)
    assert not ada.task.done()
    assert house.calls.participant_count == 1
    bob.peers[0].events.on_data(DataChannel.RELIABLE, b"late")
    bob.peers[0].events.on_failed("consent_lost", "Again.")


async def test_who_was_about_to_connect_when_the_media_broke_is_asked_to_try_again() -> None:
    house = House()
    eve = await house.join("eve", connected=False)
    eve.peers[0].events.on_failed(MEDIA_RESTARTED, "The media server had to start again.")
    await quiet()
    assert one(eve.news(), "leave").leave.action == Action.RECONNECT


async def test_stopping_tells_everybody_and_refuses_the_next() -> None:
    house, ada, bob = await in_a_call()
    await house.door.shut(5.0)
    for visitor in (ada, bob):
        leave = one(visitor.news(), "leave").leave
        assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
        assert leave.action == Action.DISCONNECT
        assert visitor.socket.closed
    assert house.calls.room_count == 0
    with pytest.raises(Refusal) as refusal:
        await house.door.admit(house.knock(claims("eve"), None))
    assert (refusal.value.code, refusal.value.status) == ("server_stopping", 503)


async def test_stopping_does_not_wait_for_those_who_do_not_read() -> None:
    house, ada, _ = await in_a_call()
    ada.socket.stop_reading()
    await house.door.shut(0.05)
    await quiet()
    assert ada.task.done()
    assert house.media.open_count() == 0


async def test_a_grant_that_ends_is_told_and_backed_by_the_relay() -> None:
    house = House(terms=Terms(grant_lifetime=10.0))
    ada = await house.join("ada")
    ada.news()
    assert ada.peers[0].not_after == 10.0
    house.clock.advance(10.0)
    ada.peers[0].events.on_failed("authority_expired", "The permission has ended.")
    await quiet()
    leave = one(ada.news(), "leave").leave
    assert leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
    assert leave.action == Action.DISCONNECT


async def test_our_own_mistake_ends_one_session_and_is_told_as_internal() -> None:
    house, ada, bob = await in_a_call()
    eve = await house.join("eve")
    house.calls.audit = BrokenAudit()
    await eve.say(add_track={"cid": "x", "type": "VIDEO"})
    assert kinds(await eve.offer("7:video:sendonly:x", 2)) == ["leave"]
    await asyncio.wait_for(eve.task, PATIENCE)
    assert house.calls.track_count == 1  # what could not be recorded did not happen
    assert not ada.task.done()
    assert not bob.task.done()
    assert house.calls.participant_count == 2


class BrokenAudit:
    def record(self, event: str, **fields: object) -> None:
        raise OSError("the disk is full")
