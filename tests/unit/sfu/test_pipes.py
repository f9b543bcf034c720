"""Tracks from worker to worker: what is ordered of which, and that nothing stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from sfu.commands import (
    AddDowntrack,
    AddTrack,
    ClosePeer,
    MuteTrack,
    OpenPipe,
    RemoveDowntrack,
    RemoveTrack,
    SetDowntrack,
    SwitchDowntrack,
)
from sfu.crypto_policy import STRICT
from sfu.events import Done, Levels, WorkerDied
from sfu.negotiation import Announced
from sfu.options import MediaOptions
from sfu.peer import Role
from sfu.placement import Placement
from sfu.post import Post
from sfu.tracks import Choice
from tests.unit.sfu.fake_relay import FakeRelay, Participant, Stage
from tests.unit.sfu.sections import AUDIO_IN, AUDIO_OUT, VIDEO_IN, VIDEO_OUT

MIC = [Announced("TR_mic", "mic", "audio")]
CAMERA = [Announced("TR_camera", "camera", "video")]


def in_turns(placement: Placement, posts: Sequence[Post], _spill_at: float) -> Post | None:
    """Each newcomer to the next."""
    return posts[sum(post.peers for post in posts) % len(posts)]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(seat=in_turns, workers=2, port=9000)
    await stage.plane.start()
    yield stage
    await stage.plane.close()


async def speaker_and_listener(stage: Stage) -> tuple[Participant, Participant]:
    """Alice on the first worker publishes, Bob on the second subscribes."""
    alice, bob = stage.open(), stage.open()
    alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    bob.peer.subscribe("TR_mic", "PA|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    await stage.settle()
    return alice, bob


async def camera_and_viewer(stage: Stage, choice: Choice) -> tuple[Participant, Participant]:
    alice, bob = stage.open(), stage.open()
    alice.peer.answer(alice.offer(VIDEO_OUT), CAMERA)
    bob.peer.subscribe("TR_camera", "PA|TR_camera")
    bob.peer.choose("TR_camera", choice)
    bob.peer.answer(bob.offer(VIDEO_IN), [])
    await stage.settle()
    return alice, bob


def counted(stage: Stage) -> tuple[int, int]:
    counters = stage.plane.counters().counters
    return counters["pipes_now"], counters["piped_tracks_now"]


async def test_a_track_crosses_to_who_subscribes_elsewhere(stage: Stage) -> None:
    alice, bob = await speaker_and_listener(stage)
    (near,), (far,) = alice.relay.take(OpenPipe), bob.relay.take(OpenPipe)
    (published,) = [one for one in alice.relay.take(AddTrack) if one.peer == alice.peer.number]
    (arriving,) = [one for one in bob.relay.take(AddTrack) if one.peer == far.peer]
    (leaving,) = [one for one in alice.relay.take(AddDowntrack) if one.peer == near.peer]
    (heard,) = [one for one in bob.relay.take(AddDowntrack) if one.peer == bob.peer.number]
    assert leaving.track == published.track
    assert arriving.encodings == (leaving.ssrc,)
    assert arriving.formats == leaving.formats == published.formats
    assert (leaving.only, leaving.paused, arriving.nack, leaving.nack) == (0, False, True, True)
    assert heard.track == arriving.track != published.track
    assert arriving.mid == str(alice.peer.number), "whose it is"
    assert not any("transport-wide" in uri for _, uri in leaving.extensions)
    assert counted(stage) == (1, 1)


async def test_each_end_opens_what_the_other_seals_and_is_where_the_other_says(
    stage: Stage,
) -> None:
    alice, bob = await speaker_and_listener(stage)
    (near,), (far,) = alice.relay.take(OpenPipe), bob.relay.take(OpenPipe)
    assert (near.local_key, near.local_salt) == (far.remote_key, far.remote_salt)
    assert (far.local_key, far.local_salt) == (near.remote_key, near.remote_salt)
    assert near.local_key != near.remote_key
    assert near.profile == far.profile == "AEAD_AES_128_GCM"
    assert near.remote == bob.relay.addresses[0] == (far.local, 9001)
    assert far.remote == alice.relay.addresses[0] == (near.local, 9000)
    assert near.local_key.hex() not in repr(near)


@pytest.mark.parametrize(("bound", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
async def test_workers_bound_to_all_addresses_meet_on_loopback(bound: str, reached: str) -> None:
    stage = Stage(seat=in_turns, workers=2, policy=STRICT)
    opened: list[FakeRelay] = []

    def open_there(options: MediaOptions) -> FakeRelay:
        relay = FakeRelay(options)
        relay.addresses = [(bound, options.port)]
        opened.append(relay)
        stage.relays.append(relay)
        return relay

    stage._open = open_there  # type: ignore[method-assign] # other addresses
    stage.interfaces = [("eth0", "10.0.0.5"), ("eth0", "2001:db8::5")]
    await stage.plane.start()
    await speaker_and_listener(stage)
    (near,) = opened[0].take(OpenPipe)
    assert (near.local, near.remote) == (reached, (reached, 7883))
    await stage.plane.close()


async def test_another_subscriber_there_takes_what_has_crossed(stage: Stage) -> None:
    _, bob = await speaker_and_listener(stage)
    stage.open()  # on the first worker
    eve = stage.open()
    eve.peer.subscribe("TR_mic", "PA|TR_mic")
    eve.peer.answer(eve.offer(AUDIO_IN), [])
    assert eve.relay is bob.relay
    heard = [one for one in bob.relay.take(AddDowntrack)]
    assert heard[0].track == heard[1].track
    assert counted(stage) == (1, 1)
    bob.peer.unsubscribe("TR_mic")
    await stage.settle()
    assert counted(stage) == (1, 1)
    eve.peer.close()
    await stage.settle()
    assert counted(stage) == (0, 0)


async def test_who_subscribes_where_the_track_is_needs_no_pipe(stage: Stage) -> None:
    alice = stage.open()
    stage.open()
    dan = stage.open()
    alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    dan.peer.subscribe("TR_mic", "PA|TR_mic")
    dan.peer.answer(dan.offer(AUDIO_IN), [])
    assert counted(stage) == (0, 0)
    (published,), (heard,) = alice.relay.take(AddTrack), dan.relay.take(AddDowntrack)
    assert heard.track == published.track


async def test_only_layers_that_somebody_there_wants_are_sent(stage: Stage) -> None:
    alice, bob = await camera_and_viewer(stage, Choice(layer=0))
    leaving = alice.relay.take(AddDowntrack)
    assert [(one.only, one.paused) for one in leaving] == [(0, False), (1, True), (2, True)]
    (arriving,) = [one for one in bob.relay.take(AddTrack)]
    assert arriving.encodings == tuple(one.ssrc for one in leaving)

    def orders() -> list[tuple[int, bool]]:
        numbers = [one.downtrack for one in leaving]
        return [
            (numbers.index(one.downtrack), one.paused) for one in alice.relay.take(SetDowntrack)
        ]

    bob.peer.choose("TR_camera", Choice())
    assert orders() == [(1, False), (2, False)]
    bob.peer.choose("TR_camera", Choice(layer=1))
    assert orders() == [(2, True)]
    bob.peer.choose("TR_camera", Choice(paused=True))
    assert orders() == [(0, True), (1, True)]
    bob.peer.choose("TR_camera", Choice(layer=7))
    assert orders() == [(0, False), (1, False), (2, False)]
    assert counted(stage) == (1, 1)


async def test_what_nobody_there_wants_is_not_sent_and_an_idle_pipe_is_closed(
    stage: Stage,
) -> None:
    alice, bob = await speaker_and_listener(stage)
    (near,), (far,) = alice.relay.take(OpenPipe), bob.relay.take(OpenPipe)
    (leaving,), (heard,) = alice.relay.take(AddDowntrack), bob.relay.take(AddDowntrack)
    (arriving,) = [one for one in bob.relay.take(AddTrack)]
    bob.peer.unsubscribe("TR_mic")
    await stage.settle()
    assert alice.relay.commands[-2:] == [
        RemoveDowntrack(downtrack=leaving.downtrack),
        ClosePeer(peer=near.peer),
    ]
    # The subscriber's own downtrack first: the track would take it along, and the relay refuse.
    assert bob.relay.commands[-3:] == [
        RemoveDowntrack(downtrack=heard.downtrack),
        RemoveTrack(track=arriving.track),
        ClosePeer(peer=far.peer),
    ]
    assert counted(stage) == (0, 0)
    # Wanted again: other keys, another number.
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    bob.peer.subscribe("TR_mic", "PA|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    (again,) = alice.relay.take(OpenPipe)
    assert again.peer != near.peer
    assert again.local_key != near.local_key


async def test_what_ends_at_its_worker_ends_beyond_the_pipe(stage: Stage) -> None:
    alice, bob = await speaker_and_listener(stage)
    (arriving,) = [one for one in bob.relay.take(AddTrack)]
    alice.relay.take(RemoveDowntrack)
    alice.peer.unpublish("TR_mic")
    await stage.settle()
    assert bob.relay.take(RemoveTrack) == [RemoveTrack(track=arriving.track)]
    assert alice.relay.take(RemoveDowntrack) == [], "it went with its track"
    assert bob.relay.take(RemoveDowntrack) == []
    assert counted(stage) == (0, 0)
    assert bob.heard.failures == []


async def test_a_publisher_that_leaves_takes_its_tracks_along_everywhere(stage: Stage) -> None:
    alice, bob = await speaker_and_listener(stage)
    (arriving,) = [one for one in bob.relay.take(AddTrack)]
    alice.peer.close()
    await stage.settle()
    assert bob.relay.take(RemoveTrack) == [RemoveTrack(track=arriving.track)]
    assert counted(stage) == (0, 0)


async def test_a_mute_holds_on_both_sides(stage: Stage) -> None:
    alice, bob = await speaker_and_listener(stage)
    (published,) = [one for one in alice.relay.take(AddTrack)]
    (arriving,) = [one for one in bob.relay.take(AddTrack)]
    for muted in (True, False):
        alice.peer.set_muted("TR_mic", muted)
        assert alice.relay.take(MuteTrack) == [MuteTrack(track=published.track, muted=muted)]
        assert bob.relay.take(MuteTrack) == [MuteTrack(track=arriving.track, muted=muted)]


async def test_levels_are_told_by_the_worker_of_origin_alone(stage: Stage) -> None:
    class Loudness:
        def __init__(self) -> None:
            self.heard: list[tuple[str, float]] = []

        def on_levels(self, changes: Sequence[tuple[str, float]]) -> None:
            self.heard += changes

    stage.plane.listen(loudness := Loudness())
    alice, bob = await speaker_and_listener(stage)
    (published,) = [one for one in alice.relay.take(AddTrack)]
    (arriving,) = [one for one in bob.relay.take(AddTrack)]
    alice.relay.push(Levels([(published.track, 0.5)]))
    bob.relay.push(Levels([(arriving.track, 0.5)]))
    await stage.settle()
    assert loudness.heard == [("TR_mic", 0.5)]


async def test_a_viewers_section_goes_from_a_track_here_to_one_from_elsewhere(
    stage: Stage,
) -> None:
    alice, bob = stage.open(), stage.open()
    alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    bob.peer.answer(bob.offer(AUDIO_OUT), [Announced("TR_bob", "mic", "audio")])
    viewer = stage.open(Role.VIEWER)
    viewer.peer.subscribe("TR_mic", "PA|TR_mic")
    viewer.peer.answer(viewer.offer(AUDIO_IN), [])
    (standing,) = viewer.relay.take(AddDowntrack)
    viewer.peer.subscribe("TR_bob", "PB|TR_bob")
    alice.peer.unpublish("TR_mic")
    await stage.settle()
    far = [one for one in alice.relay.take(AddTrack)][-1]
    (switched,) = viewer.relay.take(SwitchDowntrack)
    assert (switched.downtrack, switched.track) == (standing.downtrack, far.track)
    bob.peer.unpublish("TR_bob")
    await stage.settle()
    assert counted(stage) == (0, 0)
    assert viewer.heard.failures == []


async def test_a_dead_worker_takes_its_pipes_along_and_nobody_elses_peers(stage: Stage) -> None:
    for dies in (0, 1):
        alice, bob = await speaker_and_listener(stage)
        ((survivor, pipe),) = [
            (relay, opened)
            for who, relay in ((0, alice.relay), (1, bob.relay))
            for opened in relay.take(OpenPipe)
            if who != dies
        ]
        (alice, bob)[dies].relay.push(WorkerDied("panicked"))
        await stage.settle()
        assert ClosePeer(peer=pipe.peer) in survivor.take(ClosePeer)
        assert counted(stage) == (0, 0)
        failures = [alice.heard.failures, bob.heard.failures]
        assert failures[dies] == ["media_restarted"]
        assert failures[1 - dies] == []
        alice.peer.close()
        bob.peer.close()
        await stage.settle()
        assert stage.plane.counters().counters["commands_refused"] == 0


async def test_what_a_dying_worker_makes_others_look_for_is_found_or_not_without_harm(
    stage: Stage,
) -> None:
    """A viewer takes the next track when one ends, though that track or itself is about to go."""
    alice, bob = stage.open(), stage.open()
    near, far = stage.open(Role.VIEWER), stage.open(Role.VIEWER)
    carol = stage.open()
    assert near.relay is carol.relay is alice.relay
    for speaker, name in ((alice, "TR_mic"), (bob, "TR_bob"), (carol, "TR_carol")):
        announced = [Announced(name, "mic", "audio")]
        speaker.peer.answer(speaker.offer(AUDIO_OUT), announced)
    for viewer, after in ((near, "TR_bob"), (far, "TR_carol")):
        viewer.peer.subscribe("TR_mic", "PA|TR_mic")
        viewer.peer.answer(viewer.offer(AUDIO_IN), [])
        viewer.peer.subscribe(after, "PX|X")
    alice.relay.push(WorkerDied("panicked"))
    await stage.settle()
    failures = [one.heard.failures for one in (alice, carol, near, bob, far)]
    assert failures == [["media_restarted"]] * 3 + [[], []]
    assert counted(stage) == (0, 0)
    for one in (alice, carol, near):
        one.peer.close()
    again = stage.open(placement=Placement())
    assert again.heard.failures == []
    assert stage.plane.counters().counters["commands_refused"] == 0


async def test_a_pipe_that_a_worker_refuses_fails_who_was_served_and_nobody_else(
    stage: Stage,
) -> None:
    alice, bob = stage.open(), stage.open()
    alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    alice.relay.errors[AddDowntrack] = "limit_reached"
    bob.peer.subscribe("TR_mic", "PA|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    await stage.settle()
    assert bob.heard.failures == ["relay_limit_reached"]
    assert alice.heard.failures == []
    assert counted(stage) == (0, 0)


async def test_a_track_that_is_renegotiated_crosses_anew(stage: Stage) -> None:
    alice, bob = await speaker_and_listener(stage)
    first = [one for one in bob.relay.take(AddTrack)]
    alice.peer.answer(alice.offer(AUDIO_OUT.replace("ssrc:1001", "ssrc:1002")), MIC)
    await stage.settle()
    for _ in range(2):
        bob.peer.answer(bob.offer(AUDIO_IN), [])
    await stage.settle()
    assert bob.heard.failures == alice.heard.failures == []
    (again,) = [one for one in bob.relay.take(AddTrack)]
    assert bob.relay.take(RemoveTrack) == [RemoveTrack(track=first[0].track)]
    assert again.encodings != first[0].encodings
    assert counted(stage) == (1, 1)


async def test_an_answer_of_the_dead_is_passed_over(stage: Stage) -> None:
    alice, _ = await speaker_and_listener(stage)
    alice.relay.push(Done(10_000, "unknown_peer", 0))
    await stage.settle()
    assert alice.heard.failures == []
