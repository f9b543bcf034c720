"""One node with a running call for each module of attacks; what it printed is searched afterwards.
In a parallel run a module stays with one worker.

A module may have `SETTINGS`, in the words of `running_node`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.node import Node, running_node
from tests.security.running import ROOM, RunningCall
from tests.security.tokens import Mint
from tests.security.visitor import HOME

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@dataclass
class World:
    """A node, who may sign tokens for it, and the call on it."""

    node: Node
    mint: Mint
    call: RunningCall


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    settings = {"LOG__LEVEL": "debug", **getattr(request.module, "SETTINGS", {})}
    async with running_node(**settings) as node:
        mint = Mint(*node.keys, canaries={HOME, ROOM, "Canary Name"})
        async with RunningCall.on(node) as call:
            callers = (call.speaker, call.listener)
            mint.canaries |= {caller.identity for caller in callers}
            mint.canaries |= {part for caller in callers for part in caller.token.split(".")}
            yield World(node, mint, call)
        assert await node.stop() == 0
        output = node.output()
    assert "participant_joined" in output
    assert [canary for canary in mint.canaries if canary in output] == []
