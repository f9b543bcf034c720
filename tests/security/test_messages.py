"""Members who say what they must not: each is told so, and the call beside them goes on."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest
from livekit.protocol import models, rtc

from tests.patience import PATIENCE
from tests.security import offers
from tests.security.conftest import World
from tests.security.running import ROOM, until
from tests.security.transport import Transport
from tests.security.visitor import Visitor
from tests.unit.sfu.dtls_client import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

MISTAKE = models.DisconnectReason.STATE_MISMATCH
MEGABYTE = 1024 * 1024
MICROPHONE = rtc.AddTrackRequest(
    cid="mic",
    name="Canary Name of a track",
    type=models.TrackType.AUDIO,
    source=models.TrackSource.MICROPHONE,
)


@pytest.mark.parametrize(
    ("frame", "refusal"),
    [
        (b"\xff\xff\xff\xff", "frame_malformed: The message cannot be read."),
        (bytes([0x0A, 0x7F]), "frame_malformed: The message cannot be read."),  # cut short
        (bytes(MEGABYTE + 1), "frame_too_large: The message is too large."),
        ('{"canary-text": 1}', "text_frame: Only binary messages are spoken here."),
    ],
    ids=["not protobuf", "cut short", "too large", "text"],
)
async def test_a_frame_that_cannot_be_meant_is_named_and_ends_the_session(
    world: World, frame: bytes | str, refusal: str
) -> None:
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM)) as visitor,
    ):
        await visitor.socket.send(frame)
        said, leave = await visitor.sent_away()
        assert said == refusal
        assert (leave.reason, leave.action) == (MISTAKE, rtc.LeaveRequest.Action.DISCONNECT)


async def test_a_frame_above_the_engines_cap_is_cut_off_by_the_websocket_itself(
    world: World,
) -> None:
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM)) as visitor,
    ):
        await visitor.socket.send(bytes(3 * MEGABYTE))
        async with asyncio.timeout(PATIENCE):
            await visitor.socket.wait_closed()
        assert visitor.socket.close_code == 1009  # RFC 6455: too big to process


async def test_a_message_that_may_not_come_now_is_refused_and_the_session_goes_on(
    world: World,
) -> None:
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM)) as visitor,
    ):
        await visitor.say(answer=rtc.SessionDescription(type="answer", sdp="v=0\r\n"))
        assert await visitor.refused() == "message_illegal_now: answer may not come now."
        await visitor.say(sync_state=rtc.SyncState())
        assert await visitor.refused() == "message_illegal_now: sync_state may not come now."
        await visitor.say(offer=rtc.SessionDescription(type="pranswer", sdp="v=0\r\n"))
        assert await visitor.refused() == "message_illegal_now: offer may not come now."
        await visitor.still_served()
        for _ in range(20):
            await visitor.say(sync_state=rtc.SyncState())
        said, leave = await visitor.sent_away()
        assert said == "too_many_faults: Too many mistakes in one session."
        assert leave.reason == MISTAKE


THOUSAND = offers.listening(sections=1000)
HOSTILE = {
    "a megabyte": (
        offers.padded(MEGABYTE - 30_000),
        "sdp_too_large: The description is longer than 524288 characters.",
    ),
    "a thousand sections": (THOUSAND, "sdp_too_many_sections: More than 128 media sections."),
    "cut within a line": (
        offers.listening(sections=2)[:-40],
        "sdp_malformed: The description cannot be read: it is empty or cut short.",
    ),
    "cut between sections": (
        offers.listening(sections=2).rpartition("m=audio")[0],
        "sdp_malformed: The description cannot be read: "
        "its bundle names a section that is not there.",
    ),
    "empty": ("", "sdp_malformed: The description cannot be read: it is empty or cut short."),
}


@pytest.mark.parametrize("dual", [False, True], ids=["rtc-v1", "rtc"])
@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_description_is_named_and_ends_the_session(
    world: World, kind: str, dual: bool
) -> None:
    sdp, refusal = HOSTILE[kind]
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM), dual=dual) as visitor,
    ):
        await visitor.offer(sdp)
        said, leave = await visitor.sent_away()
        assert said == refusal
        assert (leave.reason, leave.action) == (MISTAKE, rtc.LeaveRequest.Action.DISCONNECT)


async def test_a_hostile_description_in_the_join_request_is_named_too(world: World) -> None:
    token = world.mint.token(ROOM)
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, token, offer=offers.listening()[:-40]) as visitor,
    ):
        said, leave = await visitor.sent_away()
        assert said == HOSTILE["cut within a line"][1]
        assert leave.reason == MISTAKE


async def test_offers_in_a_loop_end_the_session_and_others_are_served_meanwhile(
    world: World,
) -> None:
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM)) as bystander,
    ):
        for sdp, refusal in (
            (offers.listening(), "too_many_descriptions: Session descriptions come too fast."),
            (offers.padded(500_000), "too_many_bytes: Too much is said in too short a time."),
        ):
            async with Visitor.joined(world.node, world.mint.token(ROOM)) as visitor:
                flood = asyncio.create_task(_offer_until_refused(visitor, sdp))
                while not flood.done():
                    await bystander.still_served()
                    await asyncio.sleep(0.05)
                said, leave = flood.result()
                assert said == refusal
                assert leave.reason == MISTAKE


async def _offer_until_refused(visitor: Visitor, sdp: str) -> tuple[str, rtc.LeaveRequest]:
    async def offer_all() -> None:
        for number in itertools.count(1):
            await visitor.offer(sdp, number)
            await asyncio.sleep(0)  # a send alone lets nobody else have a turn

    offering = asyncio.create_task(offer_all())
    try:
        return await visitor.sent_away()
    finally:
        offering.cancel()
        await asyncio.gather(offering, return_exceptions=True)


async def test_a_flood_of_changes_to_oneself_does_not_drown_the_others(world: World) -> None:
    """Each is told to everybody with all of one's words: a few bytes become many."""
    claims = world.mint.claims(ROOM) | {"metadata": "canary-long" * 900}
    token = world.mint.signed(claims)
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM)) as bystander,
        Visitor.joined(world.node, token, offer=offers.listening()) as visitor,
    ):
        await visitor.say(add_track=MICROPHONE)
        track = (await visitor.next("track_published")).track
        await visitor.offer(offers.speaking(), 2)
        await visitor.next("answer")
        changing = asyncio.create_task(_change_for_ever(visitor, track.sid))
        try:
            said, leave = await visitor.sent_away()
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
        assert said == "too_many_changes: Too much is changed in too short a time."
        assert leave.reason == MISTAKE
        await bystander.still_served()


async def _change_for_ever(visitor: Visitor, sid: str) -> None:
    for count in itertools.count():
        await visitor.say(mute=rtc.MuteTrackRequest(sid=sid, muted=count % 2 == 0))
        await asyncio.sleep(0)


async def test_who_may_not_publish_is_told_and_media_sent_anyhow_reaches_nobody(
    world: World,
) -> None:
    client = Client()
    local = offers.LocalSide(client.fingerprint().value)
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM, canPublish=False)) as visitor,
    ):
        await visitor.say(add_track=MICROPHONE)
        assert await visitor.refused() == (
            "publish_not_allowed: The token does not allow publishing."
        )
        await visitor.offer(offers.speaking(local))
        answer = (await visitor.next("answer")).sdp
        assert not re.search(r"^a=(recvonly|sendrecv)", answer, re.MULTILINE)
        async with Transport.bound(offers.remote_side(answer), client) as transport:
            assert await transport.handshake() == ""
            await visitor.active()
            before = await world.call.relay()
            transport.speak(50)
            await world.call.counted(before, rtp_drop_unbound=50)
        await visitor.still_served()
        heard = world.call.listener.room.remote_participants
        await until(
            lambda: (
                [who for who, one in heard.items() if one.track_publications]
                == [world.call.speaker.identity]
            )
        )


async def test_a_source_that_the_token_does_not_name_is_refused(world: World) -> None:
    token = world.mint.token(ROOM, canPublishSources=["camera"])
    async with world.call.untouched(), Visitor.joined(world.node, token) as visitor:
        await visitor.say(add_track=MICROPHONE)
        response = await visitor.next("request_response")
        assert response.reason == rtc.RequestResponse.Reason.NOT_ALLOWED
        assert response.message == (
            "source_not_allowed: The token does not allow publishing this source."
        )
        assert response.add_track.cid == "mic"
