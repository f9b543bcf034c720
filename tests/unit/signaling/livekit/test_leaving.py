"""Whoever has left is gone from memory: objects and tasks are counted, not trusted."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

from livekit.protocol import rtc

from signaling.calls.call import Call
from signaling.calls.member import Member
from signaling.livekit.connection import Connection
from signaling.livekit.conversation import Conversation
from signaling.livekit.outgoing import Outgoing
from tests.unit.signaling.livekit.visitors import House, quiet

OURS = (Call, Member, Connection, Conversation, Outgoing)


def alive() -> Counter[str]:
    """How many there are of each, cycles not counted."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, OURS))


async def visit(house: House, name: str, *, politely: bool) -> None:
    visitor = await house.join(name, room=f"room-{len(name) % 3}")
    await visitor.publish("mic", "audio", "7")
    if politely:
        await visitor.say(leave=rtc.LeaveRequest())
    else:
        await visitor.say_raw(None)
    await asyncio.wait({visitor.task})


async def test_nothing_stays_of_people_who_come_and_go() -> None:
    house = House()
    await visit(house, "first", politely=True)
    house.media.peers.clear()
    before, tasks = alive(), len(asyncio.all_tasks())
    for number in range(50):
        await visit(house, f"guest-{number}", politely=number % 2 == 0)
    house.media.peers.clear()  # the fake keeps all it made
    await quiet()
    assert alive() == before
    assert len(asyncio.all_tasks()) == tasks
    assert (house.calls.room_count, house.calls.participant_count) == (0, 0)
    assert house.calls.tracks == {}


async def test_somebody_who_is_there_is_counted() -> None:
    house = House()
    before = alive()
    ada = await house.join("ada")
    counted = alive() - before
    assert counted == Counter(Call=1, Member=1, Connection=1, Conversation=1, Outgoing=1)
    assert not ada.task.done()
    await ada.say(leave=rtc.LeaveRequest())
    await asyncio.wait({ada.task})
