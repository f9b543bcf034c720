"""A hundred thousand datagrams of garbage and forgery at the media port, from many source ports."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.security import offers
from tests.security.conftest import World
from tests.security.offers import RemoteSide
from tests.security.running import ROOM
from tests.security.transport import Transport, binding_request, udp_socket
from tests.security.visitor import Visitor
from tests.unit.sfu.dtls_client import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOTAL = 100_000
PORTS = 50
BURST = 2_000  # datagrams under way at most: a flood, and not a contest for the socket's buffer


async def test_a_hundred_thousand_strange_datagrams_are_counted_and_answered_by_nothing(
    world: World,
) -> None:
    client = Client()
    offer = offers.listening(offers.LocalSide(client.fingerprint().value))
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM), offer=offer) as victim,
    ):
        remote = offers.remote_side((await victim.next("answer")).sdp)
        world.mint.canaries |= {remote.ufrag, remote.password}
        async with Transport.bound(remote, client) as transport:
            assert await transport.handshake() == ""
            kinds = _kinds(remote)
            before = await world.call.relay()
            answers = await _flood(world, remote, kinds)
            await victim.still_served()
            seen = await world.call.relay() - before
    assert answers == 0
    each = TOTAL // len(kinds)
    refused = {
        "drop_unknown_protocol": each,
        "stun_drop_malformed": each,
        "stun_drop_unknown_user": each,
        "stun_drop_integrity": 2 * each,  # wrong, and missing
        "dtls_drop_stranger": each,
        "rtp_drop_stranger": each,
        "rtcp_drop_stranger": each,
        "rtp_drop_bad_tag": 0,  # never tried: an address that is nobody's has no keys
    }
    assert {name: seen[name] for name in refused} == refused


async def test_forged_media_from_a_members_own_address_opens_with_no_key(world: World) -> None:
    client = Client()
    local = offers.LocalSide(client.fingerprint().value)
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM), offer=offers.listening(local)) as member,
    ):
        remote = offers.remote_side((await member.next("answer")).sdp)
        async with Transport.bound(remote, client) as transport:
            assert await transport.handshake() == ""
            await member.active()
            before = await world.call.relay()
            for sequence in range(1, 2_001):
                head = struct.pack("!BBHII", 0x80, offers.OPUS, sequence, 960 * sequence, 77)
                transport.send(head + os.urandom(60))
                transport.send(struct.pack("!BBHI", 0x80, 201, 1, 77) + os.urandom(30))
                if sequence % 500 == 0:
                    forged = {"rtp_drop_bad_tag": sequence, "rtcp_drop_bad": sequence}
                    await world.call.counted(before, **forged)
            await member.still_served()
            seen = await world.call.relay() - before
            assert (seen["rtp_drop_bad_tag"], seen["rtcp_drop_bad"]) == (2_000, 2_000)


def _kinds(remote: RemoteSide) -> list[Callable[[random.Random], bytes]]:
    """What is sent in turns; each kind has its own way to be refused."""
    damaged = bytearray(binding_request(remote, "ourUfrag", remote.password))
    damaged[2:4] = b"\xff\xfc"  # a length beyond the datagram
    nobody = replace(remote, ufrag="0123456789abcdef")
    return [
        lambda chance: bytes([chance.randrange(80, 128)]) + chance.randbytes(99),
        lambda _: bytes(damaged),
        lambda _: binding_request(nobody, "ourUfrag", remote.password),
        lambda _: binding_request(remote, "ourUfrag", "a-password-that-is-not-the-right-one"),
        lambda _: binding_request(remote, "ourUfrag", None),
        lambda chance: b"\x16\xfe\xfd" + bytes(8) + b"\x00\x40" + chance.randbytes(64),
        lambda chance: b"\x80\x6f" + chance.randbytes(90),
        lambda chance: b"\x80\xc9" + chance.randbytes(60),
    ]


async def _flood(
    world: World, remote: RemoteSide, kinds: list[Callable[[random.Random], bytes]]
) -> int:
    """Send them all, as fast as the relay takes them; how many datagrams came back."""
    chance = random.Random(7)
    before = await world.call.relay()
    with ExitStack() as stack:
        sockets = [stack.enter_context(udp_socket(remote)) for _ in range(PORTS)]
        for number in range(TOTAL):
            sockets[number // len(kinds) % PORTS].send(kinds[number % len(kinds)](chance))
            if (number + 1) % BURST == 0:
                # The call beside it counts, too: its datagrams are not of these kinds
                each = (number + 1) // len(kinds)
                await world.call.counted(
                    before, rtcp_drop_stranger=each, stun_drop_integrity=2 * each
                )
        return sum(1 for each in sockets for _ in _received(each.recv))


def _received(receive: Callable[[int], bytes]) -> Iterator[bytes]:
    try:
        while True:
            yield receive(2048)
    except (BlockingIOError, ConnectionRefusedError):
        return
