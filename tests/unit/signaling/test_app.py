"""A server's life: it starts or says why not, and leaves politely."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from signaling.app import StartError
from tests.patience import PATIENCE

Start = Any  # conftest.Start: test modules cannot import one another

# A server with a door that does nothing, in a process of its own, to be signalled.
PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from signaling import app
from signaling.server.metrics import CallCounts
from signaling.ports import MediaCounters
from tests.patience import PATIENCE
from tests.patience import PATIENCE

class Door:
    async def validate(self, knock): pass
    async def shut(self, grace):
        print("shutting", flush=True)
        await asyncio.sleep(float(sys.argv[2]))

class Resources:
    def shut(self): pass

async def assemble(foundations):
    async def close(): print("closed", flush=True)
    return app.Planes(Door(), Resources(), None, MediaCounters, CallCounts, lambda: True, close)

settings, dev = app.development({}, Path(sys.argv[1]), 0)
app.serve(settings, lambda at: print("ready", flush=True), dev, assemble)
"""


class TestStop:
    async def test_it_drains_tells_everybody_and_ends(self, start: Start) -> None:
        server = await start(SHUTDOWN__GRACE="3s")
        client = await server.connect()
        await client.send(b"hello")
        assert await client.recv() == b"hello"
        server.application.stop()
        assert await client.recv() == b"leave"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        await asyncio.wait_for(server.task, PATIENCE)
        assert server.door.shut_with == [3.0]
        with pytest.raises(OSError, match=r".*"):
            await server.connect()

    async def test_while_it_drains_nobody_joins_and_it_is_not_ready(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = await start()
        admin, http = await server.admin(), await server.http()
        draining, leave = asyncio.Event(), asyncio.Event()

        async def shut(grace: float) -> None:
            draining.set()
            await leave.wait()

        monkeypatch.setattr(server.door, "shut", shut)
        server.application.stop()
        await draining.wait()
        assert (await admin.get("/readyz")).text == "draining\n"
        assert (await admin.get("/healthz")).status_code == 200
        assert (await http.get("/rtc/validate")).status_code == 503
        with pytest.raises(InvalidStatus) as caught:
            await server.connect()
        assert caught.value.response.status_code == 503
        leave.set()
        await asyncio.wait_for(server.task, PATIENCE)

    async def test_a_door_that_fails_to_say_goodbye_does_not_keep_it(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = await start()

        async def shut(grace: float) -> None:
            raise RuntimeError

        monkeypatch.setattr(server.door, "shut", shut)
        server.application.stop()
        await asyncio.wait_for(server.task, PATIENCE)
        assert "goodbye_failed" in server.log.getvalue()


class TestStart:
    async def test_a_taken_port_is_named_with_a_way_out(self, start: Start) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(StartError) as caught:
                await start(LISTEN__PORT=str(port))
            assert str(port) in caught.value.problem
            assert f"--port {port + 10}" in caught.value.remedy
            with pytest.raises(StartError) as caught:
                await start(ADMIN__PORT=str(port))
            assert "CONCLAVE_ADMIN__PORT=" in caught.value.remedy

    async def test_a_join_that_takes_too_long_is_refused(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("signaling.server.rtc.ADMIT_DEADLINE", 0.05)
        server = await start()
        server.door.hold = True
        with pytest.raises(InvalidStatus) as caught:
            await server.connect()
        assert caught.value.response.status_code == 503

    async def test_localhost_is_served_on_both_families(self, start: Start) -> None:
        server = await start()
        for host in ("127.0.0.1", "[::1]"):
            url = f"https://{host}:{server.at.port}/rtc/validate"
            async with httpx.AsyncClient(verify=server.context) as http:
                assert (await http.get(url)).status_code == 200


@pytest.fixture
def process(tmp_path: Path) -> Any:
    """Starts PROGRAM; its goodbye takes so many seconds."""
    started: list[subprocess.Popen[str]] = []

    def start(goodbye: float) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "s"), str(goodbye)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_one_ends_it_gracefully(self, process: Any, number: signal.Signals) -> None:
        child = process(0)
        child.send_signal(number)
        output, errors = child.communicate(timeout=10)
        assert output == "shutting\nclosed\n"
        assert child.returncode == 0
        assert "Traceback" not in errors

    def test_a_second_ends_it_at_once(self, process: Any) -> None:
        child = process(600)
        child.send_signal(signal.SIGTERM)
        assert child.stdout.readline() == "shutting\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=5) == 128 + signal.SIGTERM
