"""A caller of the Python SDK behind a narrow link: a small picture there, and a large one again."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.lossy import ADDRESS, lossy_way
from tests.interop.sdk import Caller
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

NARROW = 300_000  # bit/s


async def test_a_picture_shrinks_behind_a_narrow_link_and_grows_when_it_is_wide_again() -> None:
    async with (
        running_node(MEDIA__ADVERTISE=ADDRESS) as node,
        lossy_way(node.media_port) as link,
        Caller.joined(node, "narrow", "ada") as ada,
        Caller.joined(node, "narrow", "bob") as bob,
    ):
        await ada.publish_picture(4, noise=True)
        await bob.sees(ada, 4, (1280, 720))
        assert await _counted(node, "transport_feedback_in") > 0
        link.rate = NARROW
        await bob.sees(ada, 4, (320, 180))
        # It stays: what the link takes is known by now.
        await asyncio.sleep(3.0)
        await bob.sees(ada, 4, (320, 180))
        link.rate = None
        await bob.sees(ada, 4, (1280, 720))
        assert await _counted(node, "probe_bursts") > 0


async def _counted(node: Node, name: str) -> float:
    return (await node.metrics())[f'conclave_relay_total{{name="{name}"}}']
