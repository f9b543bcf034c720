"""A server that is told to stop: new calls are refused at once, running ones are told, nobody can
hold it beyond the grace period, and a second signal ends it on the spot.
"""

from __future__ import annotations

import asyncio
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import rtc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake

from tests.node import Node, running_node
from tests.patience import PATIENCE


@asynccontextmanager
async def deaf_session(node: Node) -> AsyncIterator[ClientConnection]:
    """A participant whose client reads nothing any more: it never answers a goodbye."""
    token, _ = await node.token("hall", "deaf")
    connection = await connect(rtc_url(node, token), ssl=node.tls, proxy=None, ping_interval=None)
    try:
        await asyncio.wait_for(connection.recv(), PATIENCE)
        connection.transport.pause_reading()
        yield connection
    finally:
        connection.transport.abort()


def rtc_url(node: Node, token: str) -> str:
    """Where a client with two peer connections joins."""
    return f"{node.url}/rtc?access_token={token}&protocol=15&auto_subscribe=1"


def readiness(node: Node) -> tuple[int, str]:
    """Status and body of /readyz."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.admin_port}/readyz") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_clients_are_told_that_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node() as node:
        monkeypatch.setenv("SSL_CERT_FILE", str(node.authority))
        token, _ = await node.token("hall", "ada")
        room = rtc.Room()
        told: asyncio.Queue[object] = asyncio.Queue()
        room.on("disconnected", told.put_nowait)
        await asyncio.wait_for(room.connect(node.url, token), PATIENCE)
        assert await node.stop() == 0
        reason = await asyncio.wait_for(told.get(), PATIENCE)
        assert reason == rtc.DisconnectReason.SERVER_SHUTDOWN
        assert "participant_left" in node.output()


async def test_a_lingering_client_sees_the_node_not_ready_and_a_second_signal_ends_it() -> None:
    async with running_node(SHUTDOWN__GRACE="600") as node, deaf_session(node):
        late, _ = await node.token("hall", "late")
        assert await asyncio.to_thread(readiness, node) == (200, "ready\n")
        node.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(drained(node), PATIENCE)
        # Refused by its answer, by a closed port, or cut off while it closes
        with pytest.raises((InvalidHandshake, OSError)):
            await connect(rtc_url(node, late), ssl=node.tls, proxy=None)
        assert node.process.returncode is None
        node.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(node.process.wait(), PATIENCE) == 128 + signal.SIGTERM


async def test_a_client_that_ignores_the_goodbye_cannot_hold_the_node() -> None:
    async with running_node(SHUTDOWN__GRACE="1") as node, deaf_session(node):
        assert await node.stop() == 0


async def drained(node: Node) -> None:
    """Until /readyz says that the node drains: it is asked again and again."""
    answer = None
    while answer != (503, "draining\n"):
        answer = await asyncio.to_thread(readiness, node)
