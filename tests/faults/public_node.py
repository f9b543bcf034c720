"""`conclave serve --config …` in a namespace of its own, set up the way a public host is."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.loadgen.token import access_token
from tests.faults.certificates import tls_files
from tests.faults.namespaces import Host
from tests.node import ROOT, START_SECONDS, STOP_SECONDS
from tests.patience import PATIENCE

PORT = 7880
ADMIN_PORT = PORT + 1  # on loopback
MEDIA_PORT = PORT + 2
VISIT_SECONDS = 2 * PATIENCE


@dataclass
class PublicNode:
    """A server by its settings file, reached at its public addresses only."""

    process: asyncio.subprocess.Process
    authority: Path
    log: Path
    secret: str = field(repr=False)

    async def visited(self, client: Host, kind: str, address: str, **more: object) -> Any:
        """What the visitor of that kind says, from `client`, about the server at `address`."""
        host = f"[{address}]" if ":" in address else address
        visit = {
            "url": f"wss://{host}:{PORT}",
            "host": host,
            "port": PORT,
            "authority": str(self.authority),
            "speaker": access_token("APItest", self.secret, "hall", "speaker"),
            "listener": access_token("APItest", self.secret, "hall", "listener"),
        }
        visitor = await asyncio.create_subprocess_exec(
            *client.command(sys.executable, "-m", "tests.faults.visitor", kind),
            json.dumps(visit | more),
            cwd=ROOT,
            env=_clean_environment() | {"SSL_CERT_FILE": str(self.authority)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(visitor.communicate(), VISIT_SECONDS)
        except TimeoutError:
            visitor.kill()
            out, err = await visitor.communicate()
        assert visitor.returncode == 0, f"{err.decode()[-3000:]}\nthe server: {self.output()}"
        return json.loads(out.splitlines()[-1])

    def output(self) -> str:
        """Everything the server has printed and logged."""
        return self.log.read_text()


@asynccontextmanager
async def public_node(
    host: Host,
    *,
    names: Sequence[str],
    bind: Sequence[str] = ("0.0.0.0", "::"),
    runs_with: Sequence[str] = (),
    limits: Mapping[str, object] | None = None,
    program: str = "signaling",
    first_port: int = PORT,
    **media: object,
) -> AsyncIterator[PublicNode]:
    """A server on `host` for the time of the block, its certificate made out to `names`.

    `program` is the module that serves: ours, or one that changes something about it.
    `media` and `limits` are settings of these tables: `advertise=[…]`, `interfaces=[…]`.
    It takes `first_port` and those after it. `runs_with` are words before the command, which must
    become it: `taskset -c 0`.
    """
    with tempfile.TemporaryDirectory(prefix="conclave-test-") as made:
        folder = Path(made)
        tls = tls_files(folder, names)
        secret = secrets.token_hex(32)
        (folder / "key.secret").touch(mode=0o600)
        (folder / "key.secret").write_text(secret)
        tables: dict[str, dict[str, object]] = {
            "": {"state_dir": "state"},
            "listen": {"host": "::" if ":" in names[0] else "0.0.0.0", "port": first_port},
            "admin": {"port": first_port + 1},
            "tls": {"certificate_file": tls.certificate.name, "key_file": tls.key.name},
            "media": {"bind": bind, "port": first_port + 2, **media},
            "keys.APItest": {"secret_file": "key.secret"},
            "limits": dict(limits or {}),
            "shutdown": {"grace": 1},
        }
        (folder / "conclave.toml").write_text(_toml(tables))
        log = folder / "log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *host.command(*runs_with, sys.executable, "-m", program),
                *("serve", "--config", str(folder / "conclave.toml")),
                cwd=ROOT,
                env=_clean_environment() | {"NO_COLOR": "1"},
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            await _announced(process, log)
            yield PublicNode(process, tls.authority, log, secret)
        finally:
            await _stop(process)


async def _announced(process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Conclave serves on port" not in (said := await asyncio.to_thread(log.read_text)):
        if process.returncode is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{said}")
        await asyncio.sleep(0.05)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """JSON's scalars and lists are TOML's too."""
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _clean_environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CONCLAVE_")}
    return kept | {"PYTHONPATH": str(ROOT)}
