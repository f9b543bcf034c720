"""Who comes to the door without a right gets an answer, and the call inside hears nothing of it."""

from __future__ import annotations

import time

import pytest

from tests.security.conftest import World
from tests.security.visitor import Visitor, turned_away

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("dual", [False, True], ids=["rtc-v1", "rtc"])
async def test_each_bad_token_is_refused_with_its_own_sentence(world: World, dual: bool) -> None:
    mint = world.mint
    expired = mint.claims("canary-room") | {"nbf": int(time.time()) - 700}
    expired["exp"] = int(time.time()) - 100
    eternal = mint.claims("canary-room") | {"exp": int(time.time()) + 10**8}
    endless = mint.claims("canary-room")
    del endless["exp"]
    stranger = mint.claims("canary-room") | {"iss": "APIstranger"}
    honest = mint.token("canary-room")
    head, body, tag = honest.split(".")
    bad = {
        "none": None,
        "no signature": mint.signed(mint.claims("canary-room"), alg="none"),
        "none, signed all the same": mint.signed(mint.claims("canary-room"), alg="None"),
        "other secret": mint.signed(mint.claims("canary-room"), secret="guess" * 8),
        "other claims": f"{head}.{mint.token('canary-room').split('.')[1]}.{tag}",
        "signature cut off": f"{head}.{body}.",
        "expired": mint.signed(expired),
        "eternal": mint.signed(eternal),
        "endless": mint.signed(endless),
        "unknown key": mint.signed(stranger),
        "no right to join": mint.token("canary-room", roomJoin=False),
        "not a token": "canary-token-that-is-none",
    }
    mint.canaries.add("canary-token-that-is-none")
    async with world.call.untouched():
        answers = {
            why: await turned_away(world.node, token, dual=dual) for why, token in bad.items()
        }
    assert answers == {
        "none": (401, "A token is required."),
        "no signature": (401, "The token must be signed with HS256."),
        "none, signed all the same": (401, "The token must be signed with HS256."),
        "other secret": (401, "The token's signature is not valid."),
        "other claims": (401, "The token's signature is not valid."),
        "signature cut off": (401, "The token's signature is not valid."),
        "expired": (401, "The token has expired."),
        "eternal": (401, "The token lives longer than the 86400 s its API key allows."),
        "endless": (401, "The token has no expiry (exp)."),
        "unknown key": (401, "The token's API key is not known here."),
        "no right to join": (401, "The token does not allow joining a room (roomJoin)."),
        "not a token": (401, "The token is not a signed JWT."),
    }


@pytest.mark.parametrize("dual", [False, True], ids=["rtc-v1", "rtc"])
async def test_a_token_opens_its_own_room_only(world: World, dual: bool) -> None:
    token = world.mint.token("canary-room")
    async with world.call.untouched():
        refusal = await turned_away(world.node, token, dual=dual, room="canary-other-room")
        assert refusal == (401, "The token is for another room.")
        async with Visitor.joined(world.node, token, dual=dual, room="canary-room") as visitor:
            await visitor.still_served()


async def test_a_token_in_the_query_is_judged_and_kept_secret_like_any_other(world: World) -> None:
    forged = world.mint.signed(world.mint.claims("canary-room"), secret="guess" * 8)
    # turned_away sends it as a header; browsers cannot, and put it into the URL
    async with world.call.untouched():
        answer = await turned_away(world.node, None, room=f"canary-room&access_token={forged}")
        assert answer == (401, "The token's signature is not valid.")
