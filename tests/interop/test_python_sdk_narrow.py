"""A caller of the Python SDK behind a narrow link: a small picture there, and a large one again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from tests.interop.lossy import ADDRESS, lossy_way
from tests.interop.sdk import PATIENCE, Caller
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

NARROW = 300_000  # bit/s
LARGE, SMALL = 480, 240  # lines


async def test_a_picture_shrinks_behind_a_narrow_link_and_grows_when_it_is_wide_again() -> None:
    async with (
        running_node(MEDIA__ADVERTISE=ADDRESS) as node,
        lossy_way(node.media_port) as link,
        Caller.joined(node, "narrow", "ada") as ada,
        Caller.joined(node, "narrow", "bob") as bob,
    ):
        await ada.publish_picture(4, noise=True)
        # A busy machine's encoder makes all its layers smaller: by how much is not at stake here.
        await _sees(bob, ada, lambda height: height >= LARGE)
        assert await _counted(node, "transport_feedback_in") > 0
        link.rate = NARROW
        await _sees(bob, ada, lambda height: height <= SMALL)
        link.rate = None
        await _sees(bob, ada, lambda height: height >= LARGE)
        assert await _counted(node, "probe_bursts") > 0


async def _sees(bob: Caller, ada: Caller, right: Callable[[int], bool]) -> None:
    """Wait for twenty pictures in a row of the right height."""
    row, last = 0, 0
    try:
        async with asyncio.timeout(PATIENCE), aclosing(bob.pictures(ada)) as pictures:
            async for event in pictures:
                last = event.frame.height
                row = row + 1 if right(last) else 0
                if row == 20:
                    return
    except TimeoutError:
        raise AssertionError(f"the last picture has {last} lines") from None


async def _counted(node: Node, name: str) -> float:
    return (await node.metrics())[f'conclave_relay_total{{name="{name}"}}']
