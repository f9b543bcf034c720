"""WHIP and WHEP tried by who may not, or makes no sense, while a call runs beside them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.patience import PATIENCE
from tests.security import offers
from tests.security.conftest import World
from tests.security.running import ROOM
from tests.security.visitor import HOME

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHIP, WHEP = f"/whip/{ROOM}", f"/whep/{ROOM}"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
RESTART = "a=ice-ufrag:thief\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"


@asynccontextmanager
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(verify=world.node.tls, local_address=HOME)
    origin = f"https://localhost:{world.node.port}"
    async with httpx.AsyncClient(transport=transport, base_url=origin, timeout=PATIENCE) as http:
        yield http


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, json.loads(answer.text)["code"]


async def test_no_door_opens_without_a_right(world: World) -> None:
    mint = world.mint
    bad = {
        "none": ({}, (401, "token_missing")),
        "forged": (
            bearer(mint.signed(mint.claims(ROOM), secret="guess" * 8)),
            (401, "token_signature"),
        ),
        "other room": (bearer(mint.token("canary-other-room")), (403, "room_mismatch")),
    }
    may_not = {
        WHIP: (bearer(mint.token(ROOM, canPublish=False)), (403, "publish_not_allowed")),
        WHEP: (bearer(mint.token(ROOM, canSubscribe=False)), (403, "subscribe_not_allowed")),
    }
    async with world.call.untouched(), client(world) as http:
        for path, offer in ((WHIP, offers.speaking()), (WHEP, offers.listening())):
            for headers, refusal in (*bad.values(), may_not[path]):
                answer = await http.post(path, content=offer, headers=SDP | headers)
                assert problem(answer) == refusal
                assert "location" not in answer.headers
        # A token in the URL, where logs and Referer headers see it, is none.
        token = mint.token(ROOM)
        answer = await http.post(f"{WHIP}?access_token={token}", content="v=0", headers=SDP)
        assert problem(answer) == (401, "token_missing")


async def test_a_stolen_location_is_worth_nothing_without_its_participants_token(
    world: World,
) -> None:
    owner, thief = world.mint.token(ROOM), world.mint.token(ROOM)
    async with world.call.untouched(), client(world) as http:
        created = await http.post(WHIP, content=offers.speaking(), headers=SDP | bearer(owner))
        assert created.status_code == 201
        location = created.headers["location"]
        world.mint.canaries.add(location.rsplit("/", 1)[1])
        for headers, refusal in (
            ({}, (401, "token_missing")),
            (bearer(thief), (403, "not_your_session")),
        ):
            stolen = FRAGMENT | {"If-Match": "*"} | headers
            assert problem(await http.delete(location, headers=headers)) == refusal
            assert problem(await http.patch(location, content=RESTART, headers=stolen)) == refusal
            assert problem(await http.get(location, headers=headers)) == refusal
        # None of that has changed anything for its owner.
        tag = {"If-Match": created.headers["etag"]}
        mine = await http.patch(
            location, content="a=end-of-candidates\r\n", headers=FRAGMENT | tag | bearer(owner)
        )
        assert mine.status_code == 204
        assert (await http.delete(location, headers=bearer(owner))).status_code == 200
        assert problem(await http.delete(location, headers=bearer(owner))) == (
            404,
            "session_not_found",
        )


@pytest.mark.parametrize("path", [WHIP, WHEP])
async def test_what_is_no_offer_is_refused_and_leaves_nobody_in_the_room(
    world: World, path: str
) -> None:
    good = offers.speaking() if path == WHIP else offers.listening()
    wrong_way = offers.listening() if path == WHIP else offers.speaking()
    bad = {
        "empty": ("", (400, "sdp_malformed")),
        "json": ('{"sdp": "v=0"}', (400, "sdp_malformed")),
        "cut short": (good[:200], (400, "sdp_malformed")),
        "nul": (good.replace("opus", "op\0us"), (400, "sdp_malformed")),
        "no fingerprint": (good.replace("a=fingerprint", "a=x"), (422, "sdp_no_fingerprint")),
        "weak fingerprint": (
            good.replace(f"sha-256 {offers.FINGERPRINT}", f"sha-1 {':'.join(['AB'] * 20)}"),
            (422, "sdp_weak_fingerprint"),
        ),
        "no credentials": (good.replace("a=ice-pwd", "a=x"), (422, "sdp_no_ice")),
        "wrong way": (wrong_way, (422, "offer_direction")),
        "other codec": (good.replace("opus/48000/2", "PCMU/8000"), (422, "offer_codecs")),
    }
    token = world.mint.token(ROOM)
    async with world.call.untouched(), client(world) as http:
        before = (await world.node.metrics())["conclave_peers"]
        for offer, refusal in bad.values():
            answer = await http.post(path, content=offer, headers=SDP | bearer(token))
            assert problem(answer) == refusal
        assert (await world.node.metrics())["conclave_peers"] == before


async def test_a_megabyte_is_not_read(world: World) -> None:
    token = world.mint.token(ROOM)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_024):
            yield b"a=x\r\n" * 200

    async with world.call.untouched(), client(world) as http:
        for content in ("a=x\r\n" * 200_000, endless()):
            try:
                answer = await http.post(WHIP, content=content, headers=SDP | bearer(token))
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                continue  # cut off while still sending, which is as good
            assert problem(answer) == (413, "body_too_large")
        honest = await http.post(WHIP, content=offers.speaking(), headers=SDP | bearer(token))
        assert honest.status_code == 201


async def test_fragments_that_make_no_sense_end_nothing(world: World) -> None:
    token = world.mint.token(ROOM)
    async with world.call.untouched(), client(world) as http:
        created = await http.post(WHEP, content=offers.listening(), headers=SDP | bearer(token))
        assert created.status_code == 201
        location = created.headers["location"]
        right = FRAGMENT | {"If-Match": created.headers["etag"]} | bearer(token)
        for fragment in ("", "garbage", "a=ice-ufrag:half\r\n", "a=ice-ufrag:x\r\na=ice-pwd:y\r\n"):
            answer = await http.patch(location, content=fragment, headers=right)
            assert problem(answer) == (400, "fragment_malformed")
        bare = {k: v for k, v in right.items() if k != "If-Match"}
        assert problem(await http.patch(location, content=RESTART, headers=bare)) == (
            428,
            "precondition_missing",
        )
        stale = right | {"If-Match": '"stale"'}
        assert problem(await http.patch(location, content=RESTART, headers=stale)) == (
            412,
            "precondition_failed",
        )
        good = await http.patch(location, content="a=end-of-candidates\r\n", headers=right)
        assert good.status_code == 204
        assert (await http.delete(location, headers=bearer(token))).status_code == 200
