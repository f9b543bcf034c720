"""livekit-server on one node, with a configuration of ours; the program is somebody else's."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.arena import SERVER_ADDRESS, Arena
from bench.loadgen.servers import LiveKitServer, Server
from bench.versus.janus.server import stop

PORT: Final = 7980  # of its signalling, beside ours
UDP_PORT: Final = 7982
TCP_PORT: Final = 7981
START_PATIENCE: Final = 20.0  # seconds
_KEY: Final = "APIbench"


def configuration(secret: str) -> Mapping[str, object]:
    """Its configuration file; JSON is YAML too. One node: without `redis` it needs nobody else."""
    return {
        "port": PORT,
        "bind_addresses": [SERVER_ADDRESS],
        "keys": {_KEY: secret},
        "rtc": {
            # One socket for all, as ours; the address is the host's own
            "udp_port": UDP_PORT,
            "tcp_port": TCP_PORT,
            "use_external_ip": False,
            "node_ip": SERVER_ADDRESS,
            "use_ice_lite": True,
        },
        "logging": {"level": "error"},
    }


@asynccontextmanager
async def livekit(arena: Arena, program: Path) -> AsyncIterator[Server]:
    """The server for the time of the block. Raises RuntimeError where it does not start."""
    with tempfile.TemporaryDirectory(prefix="livekit-bench-") as made:
        folder, secret = Path(made), secrets.token_hex(32)
        settings, log = folder / "livekit.yaml", folder / "log"
        settings.touch(mode=0o600)
        settings.write_text(json.dumps(configuration(secret)))
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "TERM"),  # it must not outlive a killed run
                *arena.server.command(*arena.on_server_core, str(program)),
                *("--config", str(settings)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            await _ready(arena, process, log)
            yield LiveKitServer(
                pid=process.pid,
                core=arena.server_core,
                host=SERVER_ADDRESS,
                port=PORT,
                authority=None,
                api_key=_KEY,
                api_secret=secret,
                leads=True,
            )
        finally:
            await stop(process)


async def _ready(arena: Arena, process: asyncio.subprocess.Process, log: Path) -> None:
    """Until it listens, seen from inside its namespace."""
    deadline = time.monotonic() + START_PATIENCE
    listens = f"{SERVER_ADDRESS}:{PORT} "
    while listens not in await asyncio.to_thread(arena.server.run, "ss", "-Hltn"):
        if process.returncode is not None or time.monotonic() > deadline:
            said = await asyncio.to_thread(log.read_text, errors="replace")
            raise RuntimeError(
                f"livekit-server did not start: {' / '.join(said.splitlines()[-3:])}"
            )
        await asyncio.sleep(0.05)
