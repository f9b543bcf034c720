"""aiortc publishes by WHIP and views by WHEP, with the LiveKit SDK at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop import whip
from tests.interop.sdk import Caller, token_for
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["standard", "strict"])
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
