"""A viewer's peer and an ICE restart, as the relay is told of them."""

from __future__ import annotations

from sfu.commands import AddDowntrack, RemoveDowntrack, RestartIce, SwitchDowntrack
from sfu.negotiation import Announced
from sfu.peer import Role
from sfu.sdp import read_fragment
from tests.unit.sfu.fake_relay import Participant, Stage
from tests.unit.sfu.sections import AUDIO_IN, AUDIO_OUT, IDLE

RESTART = "a=ice-ufrag:fresh\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
AS_BEFORE = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n"


def viewing(stage: Stage) -> Participant:
    viewer = stage.open(Role.VIEWER)
    viewer.peer.answer(viewer.offer(AUDIO_IN), [])
    return viewer


def speaking(stage: Stage, track_id: str) -> Participant:
    speaker = stage.open(Role.PUBLISHER)
    speaker.peer.answer(speaker.offer(AUDIO_OUT), [Announced(track_id, "mic", "audio")])
    return speaker


async def test_a_track_that_comes_after_the_answer_is_carried_at_once(stage: Stage) -> None:
    viewer = viewing(stage)
    viewer.peer.subscribe("TR_mic", "PA|TR_mic")
    assert stage.relay.take(AddDowntrack) == []
    speaker = speaking(stage, "TR_mic")
    (track,) = speaker.tracks()
    (added,) = stage.relay.take(AddDowntrack)
    assert (added.peer, added.track, added.stands) == (viewer.peer.number, track.track, True)
    assert viewer.peer.downtracks == 1


async def test_the_next_track_takes_over_the_same_downtrack(stage: Stage) -> None:
    viewer, first = viewing(stage), speaking(stage, "TR_1")
    viewer.peer.subscribe("TR_1", "PA|TR_1")
    (added,) = stage.relay.take(AddDowntrack)
    first.peer.close()
    second = speaking(stage, "TR_2")
    viewer.peer.subscribe("TR_2", "PA|TR_2")
    (track,) = second.tracks()
    (switched,) = stage.relay.take(SwitchDowntrack)
    assert (switched.downtrack, switched.track) == (added.downtrack, track.track)
    assert stage.relay.take(AddDowntrack) == []


async def test_what_is_no_longer_wanted_leaves_its_downtrack_resting(stage: Stage) -> None:
    viewer = viewing(stage)
    speaking(stage, "TR_1")
    viewer.peer.subscribe("TR_1", "PA|TR_1")
    (added,) = stage.relay.take(AddDowntrack)
    viewer.peer.unsubscribe("TR_1")
    assert stage.relay.take(SwitchDowntrack) == [
        SwitchDowntrack(downtrack=added.downtrack, track=None, formats=())
    ]
    assert stage.relay.take(RemoveDowntrack) == []
    assert viewer.peer.downtracks == 0


async def test_what_waits_takes_the_place_that_becomes_free(stage: Stage) -> None:
    viewer = viewing(stage)
    speaking(stage, "TR_1")
    waiting = speaking(stage, "TR_2")
    for name in ("TR_1", "TR_2"):
        viewer.peer.subscribe(name, f"PA|{name}")
    (added,) = stage.relay.take(AddDowntrack)
    (track,) = waiting.tracks()
    viewer.peer.unsubscribe("TR_1")
    rested, switched = stage.relay.take(SwitchDowntrack)
    assert rested.track is None
    assert switched.track == track.track
    assert rested.downtrack == switched.downtrack == added.downtrack


async def test_new_credentials_begin_a_new_ice_session_under_ours(stage: Stage) -> None:
    speaker = speaking(stage, "TR_mic")
    answer = speaker.peer.take_fragment(RESTART)
    assert answer is not None
    (told,) = stage.relay.take(RestartIce)
    ours = read_fragment(answer)
    assert ours is not None
    assert (told.ufrag, told.password) == (ours.ufrag, ours.password)
    assert (told.remote_ufrag, told.remote_password) == ("fresh", "abcdefghijklmnopqrstuv")
    assert told.ufrag != speaker.opened.ufrag
    assert "a=candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host\r\n" in answer
    assert "a=mid:0\r\n" in answer
    assert told.password not in repr(told)


async def test_the_credentials_of_before_restart_nothing(stage: Stage) -> None:
    speaker = speaking(stage, "TR_mic")
    assert speaker.peer.take_fragment(AS_BEFORE) is None
    assert speaker.peer.take_fragment(RESTART) is not None
    assert speaker.peer.take_fragment(RESTART) is None
    assert len(stage.relay.take(RestartIce)) == 1


async def test_a_peer_that_is_over_restarts_nothing(stage: Stage) -> None:
    speaker = speaking(stage, "TR_mic")
    speaker.peer.close()
    assert speaker.peer.take_fragment(RESTART) is None
    assert stage.relay.take(RestartIce) == []


async def test_the_next_answer_speaks_of_the_new_session(stage: Stage) -> None:
    speaker = speaking(stage, "TR_mic")
    speaker.peer.take_fragment(RESTART)
    (told,) = stage.relay.take(RestartIce)
    answered = speaker.peer.answer(speaker.offer(IDLE, ufrag="fresh"), [])
    assert f"a=ice-ufrag:{told.ufrag}\r\n" in answered.sdp
