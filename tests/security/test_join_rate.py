"""Joins are rationed by address, and only a trusted proxy may say whose address it is."""

from __future__ import annotations

import pytest

from tests.security.conftest import World
from tests.security.visitor import HOME, Visitor, turned_away

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"LIMITS__JOINS_PER_MINUTE": "6", "LISTEN__TRUSTED_PROXIES": f"{HOME}/32"}
TOO_MANY = (429, "Too many joins from here; wait a moment.")


async def test_an_address_that_joins_too_often_waits_and_another_does_not(world: World) -> None:
    world.mint.canaries |= {"192.0.2.7", "192.0.2.8", "198.51.100.1"}
    async with world.call.untouched():
        answers = [await _knock(world, "192.0.2.7") for _ in range(8)]
        assert answers[:6] == [(401, "A token is required.")] * 6
        assert answers[6:] == [TOO_MANY] * 2
        # What a client writes into the header itself stands left of what the proxy appends
        assert await _knock(world, "198.51.100.1, 192.0.2.7") == TOO_MANY
        token = world.mint.token("canary-room")
        wish = {"headers": {"X-Forwarded-For": "192.0.2.8"}}
        async with Visitor.joined(world.node, token, **wish) as visitor:
            await visitor.still_served()


async def _knock(world: World, address: str) -> tuple[int, str]:
    return await turned_away(world.node, None, headers={"X-Forwarded-For": address})
