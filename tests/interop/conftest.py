"""One node for the SDK's calls; rooms keep them apart."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.node import Node, running_node


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node() -> AsyncIterator[Node]:
    async with running_node() as node:
        yield node
