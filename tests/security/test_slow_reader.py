"""A member that joins and then reads nothing is given up before it costs much."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from livekit.protocol import models, rtc

from tests.security import offers
from tests.security.conftest import World
from tests.security.running import ROOM, until
from tests.security.visitor import Visitor, doorway

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY = 64 * 1024 * 1024  # bytes; what it may hold for one reader is 4 MiB, and a socket's buffer


async def test_a_reader_whose_socket_fills_up_is_dropped_and_costs_little(world: World) -> None:
    """The room is busy with people who come, say much of themselves, and go."""
    node = world.node
    gone: list[str] = []
    before = _resident(node.process.pid)
    async with (
        world.call.untouched(),
        Visitor.joined(node, world.mint.token(ROOM), offer=offers.listening()) as witness,
        doorway(node, world.mint.token(ROOM)) as stuck,
    ):
        update = rtc.SignalResponse.FromString(_bytes(await stuck.recv()))
        sid = update.join.participant.sid
        stuck.transport.pause_reading()
        watching = asyncio.create_task(_watch(witness, sid, gone))
        talkers = [asyncio.create_task(_talk(world, number, gone)) for number in range(8)]
        await until(lambda: bool(gone))
        await asyncio.gather(*talkers)
        await watching
        after = _resident(node.process.pid)
        stuck.transport.abort()
    assert gone == [models.DisconnectReason.Name(models.DisconnectReason.SIGNAL_CLOSE)]
    assert after - before < MEMORY
    (line,) = [line for line in node.output().splitlines() if sid in line and "_left" in line]
    assert "slow_reader" in line


async def _watch(witness: Visitor, sid: str, gone: list[str]) -> None:
    while True:
        for participant in (await witness.next("update")).participants:
            if participant.sid == sid and participant.disconnect_reason:
                gone.append(models.DisconnectReason.Name(participant.disconnect_reason))
                return


async def _talk(world: World, number: int, gone: list[str]) -> None:
    """Changes its long words, as its token allows, for as long as the stuck one is there."""
    token = world.mint.token(ROOM, canUpdateOwnMetadata=True)
    async with Visitor.joined(world.node, token, offer=offers.listening()) as talker:
        for count in range(200):
            if gone:
                return
            words = f"canary-metadata-{number}-{count}-" + "x" * 100_000
            await talker.say(update_metadata=rtc.UpdateParticipantMetadata(metadata=words))
            await talker.next("request_response")
            await asyncio.sleep(0.5)


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the node is gone")


def _bytes(message: str | bytes) -> bytes:
    assert isinstance(message, bytes)
    return message
