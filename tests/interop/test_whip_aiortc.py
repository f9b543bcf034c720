"""aiortc publishes by WHIP and views by WHEP, with the LiveKit SDK at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop import whip
from tests.interop.sdk import Caller, eventually, token_for
from tests.node import Node, running_node

ANSWERED = 'conclave_relay_total{name="stun_answered"}'
CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("whip_aiortc"),  # they share two nodes
]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["standard", "strict"])
async def policy_node(request: pytest.FixtureRequest) -> AsyncIterator[Node]:
    async with running_node(POLICY=request.param) as node:
        yield node


async def test_a_whip_publisher_is_seen_and_heard_by_an_sdk(policy_node: Node) -> None:
    node = policy_node
    token = token_for(node, "stage", "camera-1")
    async with Caller.joined(node, "stage", "ada") as ada:
        async with whip.publisher(node, "stage", token, hertz=440, painter=5):
            await ada.hears("camera-1", 440)
            await ada.sees("camera-1", 5, (320, 180))
            (report,) = await node.transports(token)
            assert (report["role"], report["state"]) == ("publisher", "connected")
            assert report["cipher_suite"] == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
            assert report["srtp_profile"] == "AEAD_AES_128_GCM"
        await ada.until(lambda: ada.happened("participant_disconnected"), "it did not leave")


async def test_a_whep_viewer_sees_and_hears_an_sdk(policy_node: Node) -> None:
    node = policy_node
    token = token_for(node, "hall", "screen-1")
    async with Caller.joined(node, "hall", "ada") as ada:
        await ada.publish_tone(660)
        await ada.publish_picture(9, 320, 180)
        async with whip.viewer(node, "hall", token) as viewer:
            await viewer.hears(660)
            await viewer.sees(9, (320, 180))


async def test_a_viewer_who_came_first_is_shown_what_comes_and_what_comes_after_it(
    node: Node,
) -> None:
    token = token_for(node, "relay", "screen-1")
    async with whip.viewer(node, "relay", token) as viewer:
        for hertz, painter in ((440, 3), (880, 4)):
            camera = token_for(node, "relay", f"camera-{painter}")
            async with whip.publisher(node, "relay", camera, hertz=hertz, painter=painter):
                await viewer.hears(hertz)
                await viewer.sees(painter, (320, 180))


async def test_a_call_goes_on_through_an_ice_restart(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.5)  # seconds, where RFC 7675 has 5
    token = token_for(node, "restart", "camera-1")
    async with (
        Caller.joined(node, "restart", "ada") as ada,
        whip.publisher(node, "restart", token, hertz=440, painter=5) as (resource, connection),
    ):
        await ada.hears("camera-1", 440)
        before = resource.tag
        await whip.restart_ice(resource, connection)
        assert resource.tag != before
        answered = (await node.metrics())[ANSWERED]

        async def used() -> bool:
            restarted = (await node.metrics())[ANSWERED] >= answered + 3
            return restarted and connection.iceConnectionState == "completed"

        await eventually(used, "checks were not answered after the restart")
        await ada.hears("camera-1", 440)
        await ada.sees("camera-1", 5, (320, 180))
        assert (await resource.patch(CANDIDATE, before)).status_code == 412
        assert (await resource.patch(CANDIDATE, resource.tag)).status_code == 204


async def test_a_server_that_stops_closes_the_transport() -> None:
    async with running_node() as node:
        token = token_for(node, "stop", "camera-1")
        async with whip.publisher(node, "stop", token, hertz=440, painter=5) as (_, connection):
            assert await node.stop() == 0

            async def closed() -> bool:
                return connection.connectionState == "closed"

            await eventually(closed, "the client was not told")
