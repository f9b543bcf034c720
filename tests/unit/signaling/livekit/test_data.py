"""Data to the room: under the sender's true name, never back, never to the wrong ones."""

from __future__ import annotations

import pytest
from livekit.protocol import models

from signaling.ports import DataChannel
from tests.unit.signaling.livekit.visitors import House, Visitor, quiet

RELIABLE, LOSSY = DataChannel.RELIABLE, DataChannel.LOSSY


def packet(text: bytes = b"hi", **fields: object) -> models.DataPacket:
    return models.DataPacket(user=models.UserPacket(payload=text), **fields)  # type: ignore[arg-type]


async def two() -> tuple[House, Visitor, Visitor]:
    house = House()
    return house, await house.join("ada"), await house.join("bob")


def send(visitor: Visitor, channel: DataChannel, message: models.DataPacket | bytes) -> None:
    payload = message if isinstance(message, bytes) else message.SerializeToString()
    visitor.peers[0].events.on_data(channel, payload)


def got(visitor: Visitor) -> list[tuple[DataChannel, models.DataPacket]]:
    sent = visitor.peers[-1].sent
    return [(channel, models.DataPacket.FromString(payload)) for channel, payload in sent]


async def test_a_message_reaches_the_others_and_not_its_sender() -> None:
    house, ada, bob = await two()
    eve = await house.join("eve", room="cellar")
    send(ada, RELIABLE, packet(sequence=41))
    ((channel, message),) = got(bob)
    assert channel is RELIABLE
    assert message.user.payload == b"hi"
    assert message.sequence == 41
    assert message.participant_identity == "ada"
    assert message.participant_sid == house.calls.participant_sid("ada", "garden")
    assert got(ada) == got(eve) == []


async def test_a_forged_sender_is_overwritten_everywhere() -> None:
    _, ada, bob = await two()
    forged = packet(participant_identity="carol", participant_sid="PA_carol")
    forged.user.participant_identity = "carol"
    forged.user.participant_sid = "PA_carol"
    send(ada, LOSSY, forged)
    ((_, message),) = got(bob)
    assert message.participant_identity == message.user.participant_identity == "ada"
    assert message.participant_sid == message.user.participant_sid != "PA_carol"


async def test_the_channel_decides_what_a_message_is() -> None:
    _, ada, bob = await two()
    send(ada, RELIABLE, packet(kind=models.DataPacket.Kind.LOSSY))
    ((channel, message),) = got(bob)
    assert channel is RELIABLE
    assert message.kind == models.DataPacket.Kind.RELIABLE


async def test_the_hidden_stay_nameless() -> None:
    house = House()
    ghost, bob = await house.join("ghost", hidden=True), await house.join("bob")
    send(ghost, RELIABLE, packet())
    ((_, message),) = got(bob)
    assert (message.participant_identity, message.participant_sid) == ("", "")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (packet(destination_identities=["cyd"]), "data_addressed"),
        (models.DataPacket(user=models.UserPacket(destination_sids=["PA_c"])), "data_addressed"),
        (models.DataPacket(speaker=models.ActiveSpeakerUpdate()), "data_kind"),
        (models.DataPacket(transcription=models.Transcription()), "data_kind"),
        (models.DataPacket(rpc_request=models.RpcRequest(id="1")), "data_kind"),
        (models.DataPacket(), "data_kind"),
        (b"\xff\xff", "data_malformed"),
        (packet(bytes(65_000)), "data_too_large"),
    ],
)
async def test_what_is_not_for_everybody_reaches_nobody(
    message: models.DataPacket | bytes, code: str
) -> None:
    house, ada, bob = await two()
    send(ada, RELIABLE, message)
    assert got(bob) == []
    assert house.calls.data_dropped == {code: 1}


async def test_without_the_right_to_send_nothing_is_relayed() -> None:
    house = House()
    ada, bob = await house.join("ada", can_publish_data=False), await house.join("bob")
    send(ada, RELIABLE, packet())
    assert got(bob) == []
    assert house.calls.data_dropped == {"data_not_allowed": 1}


async def test_an_agent_may_transcribe() -> None:
    house = House()
    agent, bob = await house.join("agent", agent=True), await house.join("bob")
    send(agent, RELIABLE, models.DataPacket(transcription=models.Transcription()))
    assert len(got(bob)) == 1


async def test_a_receiver_without_channels_loses_only_its_own_copy() -> None:
    house, ada, bob = await two()
    cyd = await house.join("cyd", dual=True)
    bob.peers[0].open_channels = False
    send(ada, RELIABLE, packet())
    assert got(bob) == []
    assert len(got(cyd)) == 1
    assert cyd.peers[0].sent == []  # on the subscriber's connection
    assert house.calls.data_dropped == {"receiver_not_ready": 1}


async def test_messages_after_the_end_go_nowhere() -> None:
    _, ada, bob = await two()
    await ada.say_raw(None)
    send(ada, RELIABLE, packet())
    await quiet()
    assert got(bob) == []
