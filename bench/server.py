"""The server under load: `conclave serve --dev` as a child on one core, in a folder of its own."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.loadgen.servers import LiveKitServer
from bench.machine import ROOT

HOST: Final = "127.0.0.1"
_START_PATIENCE: Final = 60.0  # seconds
_STOP_PATIENCE: Final = 30.0  # seconds
_ENVIRONMENT: Final = {
    # All of a bench's people come from one address, quicker than any real person would.
    "CONCLAVE_LIMITS__JOINS_PER_MINUTE": "0",
    "CONCLAVE_LIMITS__CONNECTIONS_PER_ADDRESS": "0",
    "CONCLAVE_SHUTDOWN__GRACE": "0",
}


class ServerFailed(Exception):
    """The server did not start, or is gone; with what it said last."""


@contextmanager
def running(core: int) -> Iterator[LiveKitServer]:
    """A fresh server pinned to `core`, stopped at the end. Raises `ServerFailed`."""
    with tempfile.TemporaryDirectory(prefix="conclave-bench-") as folder:
        state, log = Path(folder) / "state", Path(folder) / "log"
        port = _free_ports()
        with log.open("wb") as output:
            child = subprocess.Popen(
                [
                    *(sys.executable, "-m", "signaling", "serve", "--dev"),
                    *("--port", str(port), "--state-dir", str(state)),
                ],
                cwd=ROOT,
                env={**_clean_environment(), **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
        try:
            _wait_ready(child, state, port, log)
            secrets = state / "dev"
            yield LiveKitServer(
                pid=child.pid,
                core=core,
                host=HOST,
                port=port,
                admin_port=port + 1,
                authority=str(secrets / "ca.pem"),
                api_key=json.loads((secrets / "api-key.json").read_text()),
                api_secret=(secrets / "api-secret").read_text(),
            )
            if child.poll() is not None:
                raise ServerFailed(_told("The server ended during the bench.", log))
        finally:
            _stop(child)


def _wait_ready(child: subprocess.Popen[bytes], state: Path, port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_PATIENCE
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise ServerFailed(_told("The server did not start.", log))
        authority = state / "dev" / "ca.pem"
        if authority.exists() and _answers(port, authority):
            return
        time.sleep(0.05)
    raise ServerFailed(_told(f"The server was not ready in {_START_PATIENCE:.0f} s.", log))


def _answers(port: int, authority: Path) -> bool:
    try:
        trust = ssl.create_default_context(cafile=str(authority))
        with urllib.request.urlopen(f"https://{HOST}:{port}/", context=trust, timeout=1):
            return True
    except urllib.error.HTTPError:
        return True  # no page in this build, but somebody there
    except OSError:
        return False


def _told(what: str, log: Path) -> str:
    last = log.read_text(errors="replace").strip().splitlines()[-12:]
    return "\n  ".join([what, *last])


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "CONCLAVE" not in name}


def _free_ports() -> int:
    """A port free for TCP whose next two are free for TCP and UDP: signalling, admin, media."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        try:
            with (
                socket.socket() as signalling,
                socket.socket() as admin,
                socket.socket(type=socket.SOCK_DGRAM) as media,
            ):
                signalling.bind((HOST, port))
                admin.bind((HOST, port + 1))
                media.bind((HOST, port + 2))
                return port
        except (OSError, OverflowError):
            continue
    raise ServerFailed("No three free ports in a row on loopback.")
