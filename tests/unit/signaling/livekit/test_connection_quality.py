"""Who is told how good whose connection is, through the door."""

from __future__ import annotations

from livekit.protocol import models, rtc

from signaling.domain.condition import Condition
from tests.unit.signaling.livekit.visitors import House, feel, kinds, one, quiet

Q = models.ConnectionQuality
LOSSY = Condition(loss_up=20)


def told(news: list[rtc.SignalResponse]) -> list[tuple[str, int]]:
    update = one(news, "connection_quality").connection_quality
    return [(each.participant_sid, each.quality) for each in update.updates]


async def test_everybody_who_sees_a_participant_is_told_once_and_so_is_it_itself() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    await ada.say()
    await bob.say()
    await feel(ada, LOSSY)
    (at_ada,), (at_bob,) = told(ada.news()), told(bob.news())
    assert at_ada == at_bob
    assert at_bob[0].startswith("PA_")
    assert at_bob[1] == Q.POOR
    await feel(ada, Condition(loss_up=25))
    assert (ada.news(), bob.news()) == ([], []), "nothing changed"
    await feel(ada, Condition())
    assert told(bob.news()) == [(at_bob[0], Q.EXCELLENT)]


async def test_whoever_comes_later_is_told_what_is_known() -> None:
    house = House()
    ada = await house.join("ada")
    await feel(ada, LOSSY)
    bob = await house.join("bob")
    assert [quality for _, quality in told(bob.news())] == [Q.POOR]


async def test_of_the_hidden_only_they_themselves_are_told() -> None:
    house = House()
    ada = await house.join("ada")
    eve = await house.join("eve", hidden=True)
    await ada.say()
    await eve.say()
    await feel(eve, LOSSY)
    assert [quality for _, quality in told(eve.news())] == [Q.POOR]
    assert ada.news() == []
    bob = await house.join("bob")
    assert "connection_quality" not in kinds(bob.news())


async def test_a_connection_without_consent_is_lost_before_its_participant_is_gone() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    await bob.say()
    ada.peers[0].events.on_failed("consent_lost", "The client has not been heard.")
    await quiet()
    news = bob.news()
    assert [quality for _, quality in told(news)] == [Q.LOST]
    assert kinds(news).index("connection_quality") < kinds(news).index("update")
