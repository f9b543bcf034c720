"""Janus in a namespace, with the committed configuration."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.faults.namespaces import Host

CONFIG: Final = Path(__file__).parent / "config"
PORT: Final = 8188  # of its WebSocket API, as the configuration says
READY: Final = "WebSockets thread started"
START_PATIENCE: Final = 20.0  # seconds
STOP_PATIENCE: Final = 10.0


def program() -> str | None:
    """Where Janus is; None where Debian's package `janus` is not installed."""
    return shutil.which("janus")


@asynccontextmanager
async def janus(host: Host, runs_with: Sequence[str] = ()) -> AsyncIterator[int]:
    """Janus on all of `host`'s addresses but loopback, which it never offers; its process id.

    `runs_with` are words before the command, which must become it: `taskset -c 0`. Raises
    RuntimeError where it is not installed or does not start.
    """
    if (executable := program()) is None:
        raise RuntimeError("Janus is not installed (Debian package janus)")
    with tempfile.TemporaryDirectory(prefix="conclave-janus-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "TERM"),  # it must not outlive a killed run
                *host.command(*runs_with, executable),
                *("--configs-folder", str(CONFIG), "--cwd-path", folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            await _ready(process, log)
            yield process.pid
        finally:
            await stop(process)


async def _ready(process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while READY not in (said := await asyncio.to_thread(log.read_text, errors="replace")):
        if process.returncode is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Janus did not start: {' / '.join(said.splitlines()[-3:])}")
        await asyncio.sleep(0.05)


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ends it, by force where it takes more than `STOP_PATIENCE`."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
