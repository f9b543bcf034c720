"""Several workers: who goes where, what each port is, and what one death leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from sfu.events import Levels, WorkerDied
from sfu.media import PeerRefused
from sfu.negotiation import Announced
from sfu.options import MediaOptions
from sfu.placement import Placement
from tests.unit.sfu.fake_relay import FakeRelay, Stage
from tests.unit.sfu.sections import AUDIO_OUT

MIC = [Announced("TR_mic", "mic", "audio")]
SECOND = 1_000_000_000  # ns


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(workers=3, port=9000)
    await stage.plane.start()
    yield stage
    await stage.plane.close()


def busy(stage: Stage, *shares: float) -> None:
    """Let the workers take so much of their cores for some seconds."""
    for _ in range(8):
        stage.now += 1
        for relay, share in zip(stage.relays, shares, strict=True):
            before = relay.counted.get("worker_cpu_ns", 0)
            relay.counted["worker_cpu_ns"] = before + int(share * SECOND)
        stage.plane.measure()


def worker_of(stage: Stage, placement: Placement) -> int:
    """Where a newcomer of that placement is carried."""
    return stage.relays.index(stage.open(placement=placement).relay)


async def test_each_worker_has_the_port_after_the_one_before(stage: Stage) -> None:
    assert [port for _, port in stage.plane.addresses] == [9000, 9001, 9002]
    first, second = stage.open(), stage.open()
    ports = [
        {line.split()[5] for line in sdp.splitlines() if line.startswith("a=candidate")}
        for sdp in (
            first.peer.answer(first.offer(AUDIO_OUT), MIC).sdp,
            second.peer.answer(second.offer(AUDIO_OUT), []).sdp,
        )
    ]
    assert ports == [{"9000"}, {"9001"}], "candidates name the peer's own worker"


@pytest.mark.parametrize("port", [0, 65533])
def test_ports_must_suffice_for_the_workers(port: int) -> None:
    assert MediaOptions(port=port, workers=3)
    with pytest.raises(ValueError, match="port"):
        MediaOptions(port=65533, workers=4)


async def test_those_of_one_placement_stay_together_and_others_spread(stage: Stage) -> None:
    rooms = [Placement()]
    assert [worker_of(stage, rooms[0]) for _ in range(3)] == [0, 0, 0]
    for expected in (1, 2):
        rooms.append(Placement())
        assert worker_of(stage, rooms[-1]) == expected
    assert [worker_of(stage, room) for room in rooms] == [0, 1, 2]


async def test_newcomers_go_where_the_core_is_freest(stage: Stage) -> None:
    busy(stage, 0.6, 0.5, 0.1)
    for _ in range(3):
        assert worker_of(stage, Placement()) == 2
    busy(stage, 0.2, 0.5, 0.6)
    assert worker_of(stage, Placement()) == 0
    loads = [worker.busy for worker in stage.plane.counters().workers]
    assert loads == pytest.approx([0.2, 0.5, 0.6], abs=0.01)


async def test_of_equally_busy_workers_the_one_that_carries_less(stage: Stage) -> None:
    stage.relays[0].counted["downtracks_now"] = 40
    stage.relays[1].counted["downtracks_now"] = 30
    stage.relays[2].counted["downtracks_now"] = 35
    busy(stage, 0.32, 0.28, 0.30)
    assert worker_of(stage, Placement()) == 1


async def test_who_is_somewhere_stays_and_newcomers_of_a_full_worker_go_elsewhere(
    stage: Stage,
) -> None:
    room = Placement()
    first = stage.open(placement=room)
    assert worker_of(stage, room) == 0
    busy(stage, 0.65, 0.0, 0.0)
    assert worker_of(stage, room) == 0, "below the share from which on it is spared"
    busy(stage, 0.8, 0.3, 0.1)
    assert worker_of(stage, room) == 2
    busy(stage, 0.8, 0.3, 0.6)
    assert worker_of(stage, room) == 2, "where the room is already"
    busy(stage, 0.8, 0.3, 0.8)
    assert worker_of(stage, room) == 1
    busy(stage, 0.4, 0.3, 0.4)
    assert worker_of(stage, room) == 0, "back where most of it is"
    assert first.heard.failures == []
    assert [worker.peers for worker in stage.plane.counters().workers] == [4, 1, 2]


async def test_a_room_goes_over_only_to_where_clearly_more_is_free(stage: Stage) -> None:
    room = Placement()
    stage.open(placement=room)
    busy(stage, 0.8, 0.7, 0.75)
    assert worker_of(stage, room) == 0
    busy(stage, 0.8, 0.55, 0.75)
    assert worker_of(stage, room) == 1


async def test_a_placement_forgets_where_nobody_is_any_more(stage: Stage) -> None:
    room = Placement()
    one = stage.open(placement=room)
    busy(stage, 0.9, 0.0, 0.1)
    two = stage.open(placement=room)
    assert [stage.relays.index(each.relay) for each in (one, two)] == [0, 1]
    one.peer.close()
    busy(stage, 0.0, 0.5, 0.1)
    assert worker_of(stage, room) == 1
    assert room
    two.peer.close()
    assert [post.number for post in room.posts] == [1]


async def test_a_dead_worker_takes_only_its_own_peers(stage: Stage) -> None:
    rooms = [Placement()]
    one = stage.open(placement=rooms[0])
    rooms.append(Placement())
    two = stage.open(placement=rooms[1])
    dead = stage.relays[0]
    dead.push(WorkerDied("panicked"))
    await stage.settle()
    assert (one.heard.failures, two.heard.failures) == (["media_restarted"], [])
    assert dead.closed
    assert len(stage.relays) == 4
    assert stage.relays[3].addresses == dead.addresses, "its port is served again"
    one.peer.close()
    again = stage.open(placement=rooms[0])
    assert again.relay is stage.relays[3], "the room comes back"
    assert stage.open(placement=rooms[1]).relay is two.relay
    assert [worker.peers for worker in stage.plane.counters().workers] == [1, 2, 0]


async def test_a_room_whose_worker_cannot_start_again_comes_back_on_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_options: MediaOptions) -> FakeRelay:
        raise OSError("address in use")

    room = Placement()
    one = stage.open(placement=room)
    monkeypatch.setattr(stage, "_open", broken)
    one.relay.push(WorkerDied("panicked"))
    await stage.settle()
    assert stage.plane.working
    assert stage.open(placement=room).relay is stage.relays[1]
    one.peer.close()
    assert [worker.peers for worker in stage.plane.counters().workers] == [0, 1, 0]
    monkeypatch.undo()
    stage.plane.measure()
    assert len(stage.plane.addresses) == 3, "it is tried again"


async def test_without_any_worker_nobody_is_let_in(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_options: MediaOptions) -> FakeRelay:
        raise OSError("address in use")

    monkeypatch.setattr(stage, "_open", broken)
    for relay in stage.relays:
        relay.push(WorkerDied("panicked"))
    await stage.settle()
    assert not stage.plane.working
    with pytest.raises(PeerRefused) as caught:
        stage.open()
    assert caught.value.code == "media_unavailable"


async def test_counters_are_of_all_workers_and_survive_a_death(stage: Stage) -> None:
    for relay, peers in zip(stage.relays, (1, 2, 4), strict=True):
        relay.counted = {"rtp_in": 100, "peers_now": peers}
    counted = stage.plane.counters().counters
    assert (counted["rtp_in"], counted["peers_now"]) == (300, 7)
    stage.relays[0].push(WorkerDied("panicked"))
    await stage.settle()
    stage.relays[3].counted = {"rtp_in": 5, "peers_now": 0}
    counted = stage.plane.counters().counters
    assert (counted["rtp_in"], counted["peers_now"]) == (305, 6)
    assert counted["workers_died"] == 1


async def test_loudness_is_told_from_every_worker(stage: Stage) -> None:
    class Loudness:
        def __init__(self) -> None:
            self.heard: list[tuple[str, float]] = []

        def on_levels(self, changes: Sequence[tuple[str, float]]) -> None:
            self.heard += changes

    stage.plane.listen(loudness := Loudness())
    for number in range(3):
        one = stage.open()
        announced = [Announced(f"TR_{number}", "mic", "audio")]
        one.peer.answer(one.offer(AUDIO_OUT), announced)
        (track,) = one.tracks()
        one.relay.push(Levels([(track.track, number / 2)]))
    await stage.settle()
    assert loudness.heard == [("TR_0", 0.0), ("TR_1", 0.5), ("TR_2", 1.0)]


async def test_a_port_that_is_taken_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(workers=3)
    opened: list[FakeRelay] = []

    def third_taken(options: MediaOptions) -> FakeRelay:
        if len(opened) == 2:
            raise OSError("address in use")
        opened.append(FakeRelay(options))
        return opened[-1]

    monkeypatch.setattr(stage, "_open", third_taken)
    with pytest.raises(OSError, match="in use"):
        await stage.plane.start()
    assert [relay.closed for relay in opened] == [True, True]
