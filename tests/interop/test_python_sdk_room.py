"""Who is in the room and what they say, as the unmodified LiveKit Python SDK sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from livekit import rtc

from tests.interop.sdk import PATIENCE, Caller, Way, eventually, token_for
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

EACH_WAY = pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
REASON = rtc.DisconnectReason


@EACH_WAY
async def test_people_come_and_go(node: Node, way: Way) -> None:
    room = f"roster-{way.name}"
    async with Caller.joined(node, room, "ada", way=way) as ada:
        assert ada.room.name == room
        assert (await ada.room.sid).startswith("RM_")
        async with Caller.joined(node, room, "bob", way=way) as bob:
            await ada.until(lambda: bob.identity in ada.room.remote_participants, "bob not seen")
            assert set(bob.room.remote_participants) == {ada.identity}
            assert ada.room.remote_participants[bob.identity].name == "bob"
            identity = bob.identity
            # Whoever goes while its coming is still being told closes a socket that is written to,
            # and TCP then drops its last word, the Leave.
            await bob.room.local_participant.publish_data(b"hello", topic="hello")
            await ada.until(lambda: ada.happened("data_received"), "bob was not heard")
        await ada.until(lambda: ada.happened("participant_disconnected"), "bob did not go")
        assert identity not in ada.room.remote_participants
        ((gone,),) = ada.happened("participant_disconnected")
        assert gone.disconnect_reason == REASON.CLIENT_INITIATED


@EACH_WAY
async def test_a_newcomer_takes_the_place_of_the_same_identity(node: Node, way: Way) -> None:
    room = f"twice-{way.name}"
    async with (
        Caller.joined(node, room, "bob", way=way) as bob,
        Caller.joined(node, room, "ada", way=way) as older,
    ):
        await older.publish_tone(440)
        await bob.hears(older, 440)
        async with Caller.joined(node, room, "ada", way=way, token=older.token) as newer:
            await older.until(lambda: older.happened("disconnected"), "the older one stayed")
            assert older.happened("disconnected") == [(REASON.DUPLICATE_IDENTITY,)]
            await newer.publish_tone(550)
            await bob.hears(newer, 550)
            assert set(bob.room.remote_participants) == {newer.identity}
            assert bob.room.remote_participants[newer.identity].sid == newer.sid
            assert not newer.happened("disconnected")


@EACH_WAY
async def test_active_speakers_are_told(node: Node, way: Way) -> None:
    room = f"speakers-{way.name}"
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):

        def speaking() -> list[str]:
            told = bob.happened("active_speakers_changed")
            return [speaker.identity for speaker in told[-1][0]] if told else []

        publication = await ada.publish_tone(440)
        await bob.until(lambda: speaking() == [ada.identity], "ada was not told to speak")
        assert isinstance(publication.track, rtc.LocalAudioTrack)
        publication.track.mute()
        await bob.until(lambda: speaking() == [], "ada did not fall silent")


@pytest.mark.parametrize(("first", "second"), [(Way.ONE, Way.TWO), (Way.TWO, Way.ONE)])
async def test_data_reaches_the_others_in_order_and_under_the_senders_name(
    node: Node, first: Way, second: Way
) -> None:
    room = f"data-{first.name}"
    async with (
        Caller.joined(node, room, "ada", way=first) as ada,
        Caller.joined(node, room, "bob", way=second) as bob,
        Caller.joined(node, room, "cyd", way=Way.ONE) as cyd,
    ):
        await _all_reachable(ada, bob, cyd)
        words = [f"{number}".encode() for number in range(100)]
        for word in words:
            await ada.room.local_participant.publish_data(word, topic="count")
        for other in (bob, cyd):
            await other.until(_has_said(other, "count", 100), "data was lost")
            said = _said(other, "count")
            assert [packet.data for packet in said] == words
            assert {_sender(packet) for packet in said} == {ada.identity}
        await _until_heard(ada, (bob, cyd), "quick", reliable=False)
        (packet, *_) = _said(bob, "quick")
        assert packet.kind == rtc.DataPacketKind.KIND_LOSSY
        assert _sender(packet) == ada.identity
        # What comes back to ada comes after any echo would have.
        await bob.room.local_participant.publish_data(b"over", topic="over")
        await ada.until(lambda: _said(ada, "over"), "the answer was lost")
        assert not _said(ada, "count")
        assert not _said(ada, "quick")


async def test_a_long_text_streams_to_the_room(node: Node) -> None:
    text = "A word after a word after a word is power. " * 1_000
    arrived: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    readings = set()

    async def read(reader: rtc.TextStreamReader, identity: str) -> None:
        arrived.put_nowait((await reader.read_all(), identity))

    async with (
        Caller.joined(node, "chat", "ada") as ada,
        Caller.joined(node, "chat", "bob", way=Way.TWO) as bob,
    ):
        await _all_reachable(ada, bob)
        bob.room.register_text_stream_handler(
            "lk.chat", lambda *args: readings.add(asyncio.create_task(read(*args)))
        )
        await ada.room.local_participant.send_text(text, topic="lk.chat")
        assert await asyncio.wait_for(arrived.get(), PATIENCE) == (text, ada.identity)


async def test_words_about_oneself_change_only_where_the_token_allows(node: Node) -> None:
    allowed = token_for(node, "words", "ada", can_update_own_metadata=True)
    async with (
        Caller.joined(node, "words", "ada", token=allowed) as ada,
        Caller.joined(node, "words", "cyd") as cyd,
        Caller.joined(node, "words", "bob") as bob,
    ):
        for caller in (cyd, ada):
            me = caller.room.local_participant
            await asyncio.wait_for(me.set_name("Countess"), PATIENCE)
            await asyncio.wait_for(me.set_metadata("engine"), PATIENCE)
            await asyncio.wait_for(me.set_attributes({"hand": "up"}), PATIENCE)
        await bob.until(
            lambda: (
                (seen := bob.room.remote_participants.get("ada"))
                and (seen.name, seen.metadata, seen.attributes)
                == ("Countess", "engine", {"hand": "up"})
            ),
            "the change was not seen",
        )
        other = bob.room.remote_participants[cyd.identity]
        assert (other.name, other.metadata, other.attributes) == ("cyd", "", {})


async def test_a_token_without_publish_listens_only(node: Node) -> None:
    token = token_for(node, "mute-guest", "guest", can_publish=False)
    async with (
        Caller.joined(node, "mute-guest", "ada") as ada,
        Caller.joined(node, "mute-guest", "guest", token=token) as guest,
    ):
        await ada.publish_tone(440)
        await guest.hears(ada, 440)
        assert not guest.room.local_participant.permissions.can_publish
        # The SDK tries all the same, takes no notice of the refusal and gives up after 10 s.
        publishing = asyncio.create_task(guest.publish_tone(660))

        async def refused() -> bool:
            return "code=publish_not_allowed" in node.output()

        await eventually(refused, "publishing was not refused")
        await guest.hears(ada, 440)
        assert ada.publications(guest) == []
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)


async def test_a_token_without_subscribe_gets_no_media(node: Node) -> None:
    token = token_for(node, "deaf", "guest", can_subscribe=False)
    async with (
        Caller.joined(node, "deaf", "ada") as ada,
        Caller.joined(node, "deaf", "guest", token=token) as guest,
        Caller.joined(node, "deaf", "bob") as bob,
    ):
        await ada.publish_tone(440)
        await guest.publish_tone(660)
        await ada.hears(guest, 660)
        await bob.hears(ada, 440)
        assert not guest.happened("track_subscribed")


async def test_a_lost_signalling_connection_is_mended_by_joining_afresh(node: Node) -> None:
    async with (
        Caller.joined(node, "mended", "ada") as ada,
        Caller.joined(node, "mended", "bob") as bob,
    ):
        await ada.publish_tone(440)
        await bob.hears(ada, 440)
        before = bob.room.remote_participants[ada.identity].sid
        scenario = rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT
        await asyncio.wait_for(ada.room.simulate_scenario(scenario), PATIENCE)
        await bob.until(
            lambda: (seen := bob.room.remote_participants.get(ada.identity)) and seen.sid != before,
            "ada did not come back",
        )
        await bob.hears(ada, 440)


async def test_a_stopping_server_says_so() -> None:
    async with (
        running_node() as node,
        Caller.joined(node, "end", "ada", way=Way.ONE) as ada,
        Caller.joined(node, "end", "bob", way=Way.TWO) as bob,
    ):
        await ada.publish_tone(440)
        await bob.hears(ada, 440)
        assert await node.stop() == 0
        for caller in (ada, bob):
            await caller.until(partial(caller.happened, "disconnected"), "it was not told")
            assert caller.happened("disconnected") == [(REASON.SERVER_SHUTDOWN,)]
            assert not caller.happened("reconnecting")


def _said(caller: Caller, topic: str) -> list[rtc.DataPacket]:
    return [packet for (packet,) in caller.happened("data_received") if packet.topic == topic]


def _has_said(caller: Caller, topic: str, count: int) -> Callable[[], bool]:
    return lambda: len(_said(caller, topic)) >= count


def _sender(packet: rtc.DataPacket) -> str | None:
    return packet.participant.identity if packet.participant is not None else None


async def _all_reachable(*callers: Caller) -> None:
    """Nothing is kept for those whose channels are not open yet."""
    for caller in callers:
        await _until_heard(caller, [other for other in callers if other is not caller], "hello")


async def _until_heard(
    sender: Caller, receivers: Sequence[Caller], topic: str, reliable: bool = True
) -> None:
    async def heard() -> bool:
        me = sender.room.local_participant
        await me.publish_data(b"?", topic=topic, reliable=reliable)
        return all(
            any(_sender(packet) == sender.identity for packet in _said(receiver, topic))
            for receiver in receivers
        )

    await eventually(heard, "no message arrived")
