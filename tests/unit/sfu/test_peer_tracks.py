"""The tracks of peers: published, subscribed, chosen, muted, and what ends them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu.commands import (
    AddDowntrack,
    MuteTrack,
    RemoveDowntrack,
    RemoveTrack,
    SetDowntrack,
)
from sfu.events import Health, Withheld
from sfu.negotiation import Announced
from sfu.peer import Role
from sfu.tracks import Choice
from tests.unit.sfu.fake_relay import Participant, Stage
from tests.unit.sfu.sections import AUDIO_IN, AUDIO_OUT, DATA, IDLE, offer

MIC = [Announced("TR_mic", "mic", "audio")]


async def publish(stage: Stage) -> Participant:
    alice = stage.open()
    answered = alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    (publication,) = answered.published
    assert (publication.track_id, publication.mid, publication.layers) == ("TR_mic", "0", 1)
    assert publication.mime_type == "audio/opus"
    return alice


async def test_a_published_track_is_one_command_to_the_relay(stage: Stage) -> None:
    alice = await publish(stage)
    (track,) = alice.tracks()
    assert (track.kind, track.mid, track.clock_rate) == ("audio", "0", 48000)
    assert (111, "opus") in track.formats
    assert track.encodings == (1001,)
    assert stage.plane.counters().tracks == 1


async def test_a_subscriber_of_a_published_track(stage: Stage) -> None:
    alice = await publish(stage)
    (track,) = alice.tracks()
    bob = stage.open()
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    assert bob.peer.missing_sections() == (1, 0)
    answered = bob.peer.answer(bob.offer(AUDIO_IN), [])
    assert answered.mid_to_track == {"0": "TR_mic"}
    assert not bob.peer.needs_negotiation()
    (down,) = stage.relay.take(AddDowntrack)
    assert (down.peer, down.track) == (bob.peer.number, track.track)
    assert (down.cname, down.formats) == ("PA_alice", ((111, "opus"),))
    assert f"a=ssrc:{down.ssrc}" in answered.sdp
    assert stage.plane.counters().downtracks == 1

    bob.peer.unsubscribe("TR_mic")
    assert stage.relay.take(RemoveDowntrack) == [RemoveDowntrack(downtrack=down.downtrack)]
    assert bob.peer.needs_negotiation()
    answered = bob.peer.answer(bob.offer(AUDIO_IN), [])
    assert answered.mid_to_track == {}
    assert stage.relay.take(RemoveDowntrack) == []


async def test_a_choice_goes_with_the_downtrack_or_after_it(stage: Stage) -> None:
    await publish(stage)
    bob = stage.open()
    bob.peer.choose("TR_mic", Choice(paused=True))  # of a track it does not want
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    bob.peer.choose("TR_mic", Choice(layer=1, priority=7))
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    (down,) = stage.relay.take(AddDowntrack)
    assert (down.layer, down.paused, down.priority) == (1, False, 7)
    assert stage.relay.take(SetDowntrack) == []

    for _ in range(2):  # the same again says nothing
        bob.peer.choose("TR_mic", Choice(layer=0, paused=True))
    told = SetDowntrack(downtrack=down.downtrack, layer=0, paused=True)
    assert stage.relay.take(SetDowntrack) == [told]

    bob.peer.unsubscribe("TR_mic")
    bob.peer.choose("TR_mic", Choice(layer=2))
    assert stage.relay.take(SetDowntrack) == []
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    (down,) = stage.relay.take(AddDowntrack)
    assert (down.layer, down.paused) == (None, False)


async def test_what_the_link_has_no_room_for_is_told_by_its_name(stage: Stage) -> None:
    await publish(stage)
    bob = stage.open()
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    (down,) = stage.relay.take(AddDowntrack)
    stage.relay.push(Withheld(bob.peer.number, down.downtrack, True))
    stage.relay.push(Withheld(bob.peer.number, down.downtrack + 1, True))  # gone meanwhile
    stage.relay.push(Withheld(99, down.downtrack, True))
    await stage.settle()
    assert bob.heard.withheld == {"TR_mic": True}


async def test_how_packets_go_is_told_to_the_owner_of_the_peer(stage: Stage) -> None:
    bob = stage.open()
    told = Health(bob.peer.number, 3, None, 0.05, withheld=False, silent=False)
    stage.relay.push(told)
    stage.relay.push(replace(told, peer=99))
    await stage.settle()
    assert bob.heard.health == [told]


async def test_a_subscriber_that_is_earlier_than_the_track(stage: Stage) -> None:
    bob = stage.open()
    bob.peer.answer(bob.offer(DATA), [])
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    assert not bob.peer.needs_negotiation()
    await publish(stage)
    assert bob.peer.needs_negotiation()
    assert bob.peer.missing_sections() == (1, 0)
    bob.peer.answer(bob.offer(DATA, AUDIO_IN), [])
    assert len(stage.relay.take(AddDowntrack)) == 1


async def test_the_subscribers_own_transport_is_offered_the_track(stage: Stage) -> None:
    await publish(stage)
    bob = stage.open(Role.SUBSCRIBER)
    assert bob.peer.needs_negotiation()
    assert "m=application" in bob.peer.offer()
    bob.peer.accept_answer(offer(bob.client, DATA, answer=True))
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    assert bob.peer.needs_negotiation()
    offered = bob.peer.offer()
    assert "a=msid:PA_alice|TR_mic" in offered
    answer = offer(bob.client, DATA, AUDIO_IN, answer=True)
    bob.peer.accept_answer(answer)
    (down,) = stage.relay.take(AddDowntrack)
    assert down.peer == bob.peer.number
    assert f"a=ssrc:{down.ssrc}" in offered


async def test_a_track_that_ends_ends_for_its_subscribers(stage: Stage) -> None:
    alice = await publish(stage)
    (track,) = alice.tracks()
    bob = stage.open()
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    alice.peer.unpublish("TR_mic")
    assert stage.relay.take(RemoveTrack) == [RemoveTrack(track=track.track)]
    assert bob.peer.needs_negotiation()
    bob.peer.unsubscribe("TR_mic")  # the relay has removed its downtrack by itself
    assert stage.relay.take(RemoveDowntrack) == []
    counters = stage.plane.counters()
    assert (counters.tracks, counters.downtracks) == (0, 0)
    answered = alice.peer.answer(alice.offer(IDLE), [])
    assert answered.unpublished == ()  # it was told already
    assert stage.relay.take(RemoveTrack) == []


async def test_a_publisher_that_stops_sending_unpublishes(stage: Stage) -> None:
    alice = await publish(stage)
    (track,) = alice.tracks()
    answered = alice.peer.answer(alice.offer(IDLE), [])
    assert answered.unpublished == ("TR_mic",)
    assert stage.relay.take(RemoveTrack) == [RemoveTrack(track=track.track)]


@pytest.mark.parametrize("how", ["close", "fail"])
async def test_a_publisher_that_is_gone_takes_its_tracks_along(stage: Stage, how: str) -> None:
    alice = await publish(stage)
    bob = stage.open()
    bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    if how == "close":
        alice.peer.close()
    else:
        alice.peer.fail("consent_lost", "Gone.")
    assert stage.plane.counters().tracks == 0
    assert bob.peer.needs_negotiation()
    assert stage.relay.take(RemoveTrack) == []  # the relay does it with the peer


async def test_muting_reaches_the_relay_and_waits_for_a_track_still_to_come(stage: Stage) -> None:
    alice = stage.open()
    alice.peer.set_muted("TR_mic", True)
    assert stage.relay.take(MuteTrack) == []
    alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    (track,) = alice.tracks()
    assert stage.relay.take(MuteTrack) == [MuteTrack(track=track.track, muted=True)]
    alice.peer.set_muted("TR_mic", False)
    assert stage.relay.take(MuteTrack) == [MuteTrack(track=track.track, muted=False)]


async def test_no_ssrc_is_used_twice_under_one_peers_keys(stage: Stage) -> None:
    await publish(stage)
    bob = stage.open()
    seen = set()
    for _ in range(5):
        bob.peer.subscribe("TR_mic", "PA_alice|TR_mic")
        bob.peer.answer(bob.offer(AUDIO_IN), [])
        (down,) = stage.relay.take(AddDowntrack)
        seen.add(down.ssrc)
        bob.peer.unsubscribe("TR_mic")
        bob.peer.answer(bob.offer(AUDIO_IN), [])
    assert len(seen) == 5
