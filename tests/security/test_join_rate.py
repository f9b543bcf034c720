"""Joins are rationed by address, and only a trusted proxy may say whose address it is."""

from __future__ import annotations

import time

import pytest

from tests.security.conftest import World
from tests.security.visitor import HOME, Visitor, turned_away

pytestmark = pytest.mark.asyncio(loop_scope="module")

A_MINUTE = 6
SETTINGS = {
    "LIMITS__JOINS_PER_MINUTE": str(A_MINUTE),
    "LISTEN__TRUSTED_PROXIES": f"{HOME}/32",
}
TOO_MANY = (429, "Too many joins from here; wait a moment.")


async def test_an_address_that_joins_too_often_waits_and_another_does_not(world: World) -> None:
    world.mint.canaries |= {"192.0.2.7", "192.0.2.8", "198.51.100.1"}
    async with world.call.untouched():
        # What a client writes into the header itself stands left of what the proxy appends
        for claimed in ("", "198.51.100.1, "):
            began, answers = time.monotonic(), [await _knock(world, f"{claimed}192.0.2.7")]
            while answers[-1] != TOO_MANY:
                answers.append(await _knock(world, f"{claimed}192.0.2.7"))
            took, heard = time.monotonic() - began, len(answers) - 1
            assert set(answers[:-1]) <= {(401, "A token is required.")}
            ration = 0 if claimed else A_MINUTE
            assert ration <= heard <= ration + 1 + took * A_MINUTE / 60
        token = world.mint.token("canary-room")
        wish = {"headers": {"X-Forwarded-For": "192.0.2.8"}}
        async with Visitor.joined(world.node, token, **wish) as visitor:
            await visitor.still_served()


async def _knock(world: World, address: str) -> tuple[int, str]:
    return await turned_away(world.node, None, headers={"X-Forwarded-For": address})
