"""A real node in a child process, for tests that look at the server from outside."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import signal
import socket
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = PATIENCE
STOP_SECONDS = 60.0


@dataclass
class Node:
    """`conclave serve --dev` on free loopback ports, its state in a folder of its own."""

    process: asyncio.subprocess.Process
    state: Path
    port: int
    admin_port: int
    media_port: int
    log: Path
    tls: ssl.SSLContext = field(repr=False)

    @property
    def origin(self) -> str:
        """Where the page is."""
        return f"https://localhost:{self.port}"

    @property
    def url(self) -> str:
        """What an SDK connects to."""
        return f"wss://localhost:{self.port}"

    @property
    def authority(self) -> Path:
        """The throw-away certificate authority, for SSL_CERT_FILE."""
        return self.state / "dev" / "ca.pem"

    @property
    def keys(self) -> tuple[str, str]:
        """API key and secret of the development server."""
        name = re.search(r"^\s*API key\s+(\S+?);", self.output(), re.MULTILINE)
        assert name is not None
        secret = next((self.state / "dev").glob("*secret*")).read_text().strip()
        return name.group(1), secret

    def output(self) -> str:
        """Everything the server has printed and logged."""
        return self.log.read_text()

    async def token(self, room: str, name: str) -> tuple[str, str]:
        """(token, identity) as the development page gets them."""
        body = await self.http("/v1/dev/token", {"room": room, "name": name})
        return body["token"], body["identity"]

    async def transports(self, token: str) -> list[dict[str, Any]]:
        """What the server recorded of the bearer's own transports."""
        body = await self.http("/v1/me/transport", token=token)
        transports = body["transports"]
        assert isinstance(transports, list)
        return transports

    async def metrics(self) -> dict[str, float]:
        """Every metric by name and labels as Prometheus's text has them."""
        text = await asyncio.to_thread(self._get, f"http://127.0.0.1:{self.admin_port}/metrics")
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    async def http(
        self, path: str, body: Mapping[str, str] | None = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """GET, or POST of a JSON body; the JSON answer."""
        request = urllib.request.Request(self.origin + path)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("Origin", self.origin)
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        answer = json.loads(await asyncio.to_thread(self._get, request))
        assert isinstance(answer, dict)
        return answer

    def _get(self, request: str | urllib.request.Request) -> str:
        with urllib.request.urlopen(request, context=self.tls, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    async def stop(self) -> int:
        """Stop gracefully; the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise


@asynccontextmanager
async def running_node(program: str = "signaling", **settings: str) -> AsyncIterator[Node]:
    """A node for the time of the block. `settings` are `CONCLAVE_…` variables without prefix:
    `running_node(POLICY="strict", MEDIA__SRTP_PROFILES="AEAD_AES_128_GCM")`. `program` is the
    module that is run, with the command line of ours.
    """
    with tempfile.TemporaryDirectory(prefix="conclave-test-") as folder:
        node = await _started(Path(folder), program, settings)
        try:
            yield node
        finally:
            await node.stop()


async def _started(folder: Path, program: str, settings: Mapping[str, str]) -> Node:
    state, log = folder / "state", folder / "log"
    port, admin_port, media_port = _free_ports(int(settings.get("MEDIA__WORKERS", "1")))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CONCLAVE_")}
    given = {f"CONCLAVE_{name}": value for name, value in settings.items()}
    environment = clean | {
        "CONCLAVE_STATE_DIR": str(state),
        "CONCLAVE_ADMIN__PORT": str(admin_port),
        "CONCLAVE_MEDIA__PORT": str(media_port),
        "CONCLAVE_LIMITS__JOINS_PER_MINUTE": "0",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "160",
    }
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", program, "serve", "--dev", "--port", str(port)),
            env=environment | given,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        await asyncio.wait_for(_ready(process, admin_port), START_SECONDS)
    except (TimeoutError, RuntimeError) as error:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise RuntimeError(f"the node did not start:\n{log.read_text()}") from error
    tls = ssl.create_default_context(cafile=state / "dev" / "ca.pem")
    return Node(process, state, port, admin_port, media_port, log, tls)


async def _ready(process: asyncio.subprocess.Process, admin_port: int) -> None:
    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz", timeout=10):
                return True
        except (OSError, urllib.error.URLError):
            return False

    while not await asyncio.to_thread(ask):
        if process.returncode is not None:
            raise RuntimeError("it ended")
        await asyncio.sleep(0.05)


def _free_ports(workers: int) -> tuple[int, int, int]:
    """Two TCP ports and the first of one for each worker, free now on 127.0.0.1 and not to be given
    to anybody until the server has them: the kernel gives clients' sockets ports above these, and
    each process of a parallel test run takes its own.
    """
    found: list[int] = []
    while len(found) < 2 + workers:
        port = next(_ports)
        if len(found) > 2 and port != found[-1] + 1:
            del found[2:]  # a worker's port follows that of the one before
        if _is_free(port):
            found.append(port)
        else:
            del found[2:]
    return found[0], found[1], found[2]


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as tried:
                tried.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _own_ports() -> Iterator[int]:
    """Round and round through this process's share of what lies below 32768."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    first, count = 12_000 + worker % 8 * 2_500, 2_500
    begin = random.randrange(count)
    return (first + (begin + step) % count for step in itertools.count())


_ports = _own_ports()
