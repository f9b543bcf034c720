"""`self`: a node of this installation, started for the purpose and ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sfu.probe.targets import Unreachable
from sfu.probe.targets.livekit import LiveKitTarget
from sfu.probe.targets.seats import seats_of

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
ROOMS: Final = 8
SEATS: Final = 3  # in each room
_ROOT: Final = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def self_node(policy: str) -> AsyncIterator[LiveKitTarget]:
    """A target for the time of the block, under that policy of the server's. Its state lies in a
    temporary folder, its ports are free ones of loopback.

    Raises `Unreachable` when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="conclave-probe-") as folder:
        state, log = Path(folder) / "state", Path(folder) / "log"
        port, admin, media = _free_ports()
        kept = {name: value for name, value in os.environ.items() if not _ours(name)}
        environment = kept | {
            "CONCLAVE_POLICY": policy,
            "CONCLAVE_STATE_DIR": str(state),
            "CONCLAVE_ADMIN__PORT": str(admin),
            "CONCLAVE_MEDIA__PORT": str(media),
            # A probe joins more often in a minute than people do.
            "CONCLAVE_LIMITS__JOINS_PER_MINUTE": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), kept.get("PYTHONPATH")))),
        }
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "signaling", "serve", "--dev", "--port", str(port)),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            try:
                async with asyncio.timeout(START_SECONDS):
                    await _ready(process, admin)
            except (TimeoutError, ChildProcessError):
                tail = log.read_text(errors="replace")[-500:]
                raise Unreachable(f"the node did not start: {tail}") from None
            trust = ssl.create_default_context(cafile=state / "dev" / "ca.pem")
            tokens = await asyncio.to_thread(_tokens, port, trust)
            url = f"livekit+wss://localhost:{port}"
            yield LiveKitTarget(url, seats_of(tokens), trust, name="self")
        finally:
            await _stop(process)


def _ours(name: str) -> bool:
    return name.startswith("CONCLAVE_")


async def _ready(process: asyncio.subprocess.Process, admin: int) -> None:
    """Wait for it. Raises `ChildProcessError` when it has ended instead."""

    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1):
                return True
        except (OSError, urllib.error.URLError):
            return False

    while not await asyncio.to_thread(ask):
        if process.returncode is not None:
            raise ChildProcessError
        await asyncio.sleep(0.05)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _tokens(port: int, trust: ssl.SSLContext) -> list[str]:
    """As the development page gets them."""
    origin = f"https://localhost:{port}"
    tokens = []
    for seat in range(ROOMS * SEATS):
        wish = {"room": f"probe-{seat % ROOMS}", "name": f"probe {seat}"}
        request = urllib.request.Request(  # noqa: S310 - our own node, by https
            f"{origin}/v1/dev/token",
            data=json.dumps(wish).encode(),
            headers={"Content-Type": "application/json", "Origin": origin},
        )
        with urllib.request.urlopen(  # noqa: S310 - as above
            request, context=trust, timeout=10
        ) as answer:
            tokens.append(str(json.load(answer)["token"]))
    return tokens


def _free_ports() -> tuple[int, int, int]:
    """Two TCP ports and a UDP port that are free now."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as first,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as second,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third,
    ):
        for each in (first, second, third):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (first, second, third)]
    return ports[0], ports[1], ports[2]
