"""What a large room is told of those who only listen, and when; time is moved, never waited for."""

from __future__ import annotations

from collections.abc import Callable

from livekit.protocol import models, rtc

from signaling.calls.holding import FEW, LONGEST, MOST
from signaling.domain.condition import Condition
from tests.unit.signaling.livekit.visitors import House, Visitor, feel, kinds, one, quiet

State = models.ParticipantInfo.State
Quality = models.ConnectionQuality
LOSSY = Condition(loss_up=20)


class FakeLater:
    """The event loop's timers, run by hand."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, do: Callable[[], None], /) -> None:
        self.waiting.append((seconds, do))

    async def pass_by(self) -> None:
        """As much time as everything waits for."""
        waiting, self.waiting = self.waiting, []
        for _, do in waiting:
            do()
        await quiet()


async def crowded(later: FakeLater | None) -> tuple[House, Visitor]:
    """A room just large enough, and somebody in it who has read everything."""
    house = House(later=later)
    ada = await house.join("ada")
    for number in range(FEW):
        await house.join(f"guest-{number}")
    if later is not None:
        await later.pass_by()
    ada.news()
    return house, ada


def told(news: list[rtc.SignalResponse]) -> dict[str, int]:
    """Who is in which state, as the updates have it."""
    return {
        info.identity: info.state
        for message in news
        if message.WhichOneof("message") == "update"
        for info in message.update.participants
    }


async def test_without_it_each_listener_who_comes_is_told_of_twice() -> None:
    house, ada = await crowded(None)
    for name in ("bob", "cleo", "dan"):
        await house.join(name)
    assert kinds(ada.news()) == ["update"] * 6


async def test_those_who_come_within_a_moment_are_told_of_together() -> None:
    later = FakeLater()
    house, ada = await crowded(later)
    for name in ("bob", "cleo", "dan"):
        await house.join(name)
    assert ada.news() == []
    (seconds, _), *others = later.waiting
    assert 0 < seconds <= LONGEST
    assert others == []
    await later.pass_by()
    news = ada.news()
    assert kinds(news) == ["update"]
    assert told(news) == {"bob": State.ACTIVE, "cleo": State.ACTIVE, "dan": State.ACTIVE}


async def test_a_small_room_is_told_at_once() -> None:
    later = FakeLater()
    house = House(later=later)
    ada = await house.join("ada")
    ada.news()
    await house.join("bob")
    assert told(ada.news()) == {"bob": State.ACTIVE}
    assert later.waiting == []


async def test_who_comes_hears_of_itself_at_once() -> None:
    house, _ = await crowded(FakeLater())
    bob = await house.join("bob")
    assert told(bob.news()) == {"bob": State.ACTIVE}


async def test_who_has_come_and_gone_is_told_as_gone() -> None:
    later = FakeLater()
    house, ada = await crowded(later)
    bob = await house.join("bob")
    await bob.say(leave=rtc.LeaveRequest())
    await later.pass_by()
    assert told(ada.news()) == {"bob": State.DISCONNECTED}


async def test_who_publishes_is_told_of_at_once_and_all_that_was_held_with_it() -> None:
    later = FakeLater()
    house, ada = await crowded(later)
    await house.join("bob")
    cleo = await house.join("cleo")
    assert ada.news() == []
    await cleo.publish("mic", "audio", "7")
    news = ada.news()
    assert kinds(news)[:2] == ["update", "update"]  # before anything is asked for it
    assert told(news) == {"bob": State.ACTIVE, "cleo": State.ACTIVE}
    assert len(news[1].update.participants[0].tracks) == 1
    await later.pass_by()
    assert ada.news() == []


async def test_a_publisher_who_goes_is_told_of_at_once() -> None:
    later = FakeLater()
    house, ada = await crowded(later)
    bob = await house.join("bob")
    await bob.publish("mic", "audio", "7")
    ada.news()
    await bob.say(leave=rtc.LeaveRequest())
    assert told(ada.news()) == {"bob": State.DISCONNECTED}


async def test_no_update_is_longer_than_its_bound() -> None:
    later = FakeLater()
    house, ada = await crowded(later)
    for number in range(MOST + 1):
        await house.join(f"more-{number}")
    news = ada.news()
    assert [len(message.update.participants) for message in news] == [MOST, 1]


async def test_a_newcomer_who_came_meanwhile_knows_everybody_from_the_start() -> None:
    house, _ = await crowded(FakeLater())
    await house.join("bob")
    cleo = await house.join("cleo")
    join = one(cleo.news(), "join").join
    assert "bob" in {other.identity for other in join.other_participants}


def qualities(news: list[rtc.SignalResponse]) -> list[dict[str, int]]:
    """What each message tells of connections, by participant sid."""
    return [
        {each.participant_sid: each.quality for each in message.connection_quality.updates}
        for message in news
        if message.WhichOneof("message") == "connection_quality"
    ]


async def test_how_connections_are_is_told_together_behind_those_whose_they_are() -> None:
    later = FakeLater()
    house, ada = await crowded(later)
    bob, cleo = await house.join("bob"), await house.join("cleo")
    for visitor in (bob, cleo):
        await feel(visitor, LOSSY)
    await feel(cleo, Condition())
    assert ada.news() == []
    (_,) = later.waiting
    await later.pass_by()
    news = ada.news()
    assert kinds(news) == ["update", "connection_quality"]
    (told_of,) = qualities(news)
    assert sorted(told_of.values()) == [Quality.POOR, Quality.EXCELLENT]
    assert told_of.keys() == {info.sid for info in news[0].update.participants}
    await later.pass_by()
    assert ada.news() == []


async def test_of_a_connection_that_is_gone_nothing_is_told() -> None:
    later = FakeLater()
    house, ada = await crowded(later)
    bob = await house.join("bob")
    await feel(bob, LOSSY)
    await bob.say(leave=rtc.LeaveRequest())
    await later.pass_by()
    assert kinds(ada.news()) == ["update"]


async def test_a_small_room_is_told_of_a_connection_at_once() -> None:
    later = FakeLater()
    house = House(later=later)
    ada, bob = await house.join("ada"), await house.join("bob")
    ada.news()
    await feel(bob, LOSSY)
    assert [*qualities(ada.news())[0].values()] == [Quality.POOR]
    assert later.waiting == []
