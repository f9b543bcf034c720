"""Client programs of other stacks as child processes: started, listened to, told to go."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.browser.installed import NotInstalledError, program
from tests.interop.sdk import PATIENCE
from tests.node import ROOT, Node

HERE = Path(__file__).parent
PION = HERE / "pion" / "pion"
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that Debian's GStreamer bindings are for
STAY_SECONDS = 240  # no program outlives this, whatever becomes of the test
LEAVE_SECONDS = 60.0


@dataclass
class Program:
    """One running client program; `events` are the lines it has said."""

    process: asyncio.subprocess.Process
    token: str = field(repr=False)
    events: list[dict[str, str]] = field(default_factory=list)
    _said: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def started(
        cls, command: Sequence[str], node: Node, token: str, folder: Path
    ) -> AsyncIterator[Program]:
        """Run `command` for the time of the block, then tell it to go and wait until it went."""
        secret, log = folder / "token", folder / "stderr"
        secret.touch(mode=0o600)
        secret.write_text(token)
        stay = ("--token-file", str(secret), "--seconds", str(STAY_SECONDS))
        authority = str(node.authority)
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                *stay,
                cwd=ROOT,
                env=os.environ
                | {
                    "PYTHONPATH": str(ROOT),
                    "SSL_CERT_FILE": authority,  # read by Go and OpenSSL
                    "NODE_EXTRA_CA_CERTS": authority,
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        running = cls(process, token)
        listening = asyncio.create_task(running._listen())
        try:
            yield running
        except AssertionError as error:
            error.add_note(f"{command[:3]} said {running.events}\n{log.read_text()[-2000:]}")
            raise
        finally:
            await running.leave()
            await listening

    async def until(self, event: str) -> dict[str, str]:
        """Wait until it says so; raises AssertionError if it never does."""
        return await self._until(lambda: self._last(event), event)

    async def tells(self) -> tuple[str, str] | None:
        """The suite and the profile by the stack's own word, if it can tell."""
        event = self._last("negotiated")
        return None if event is None else (event["suite"], event["profile"])

    async def leave(self) -> None:
        """Tell it to go, and wait until it went; idempotent."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), LEAVE_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise

    async def _until(self, found: Callable[[], dict[str, str] | None], what: str) -> dict[str, str]:
        try:
            async with asyncio.timeout(PATIENCE):
                while (event := found()) is None:
                    ended = self.process.stdout is None or self.process.stdout.at_eof()
                    assert not ended, f"it ended without saying that it is {what}: {self.events}"
                    self._said.clear()
                    await self._said.wait()
        except TimeoutError:
            raise AssertionError(f"it never said that it is {what}: {self.events}") from None
        return event

    def _last(self, event: str) -> dict[str, str] | None:
        return next((each for each in reversed(self.events) if each["event"] == event), None)

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.events.append(json.loads(line))
            self._said.set()
        self._said.set()


def pion() -> tuple[str, ...]:
    """The command that runs Pion; like all below, raises `NotInstalledError`."""
    if not PION.is_file():
        raise NotInstalledError("Pion", "run `go build` in tests/interop/stacks/pion")
    return (str(PION),)


def werift() -> tuple[str, ...]:
    """The command that runs werift."""
    return _node("werift", "werift.mjs")


def libdatachannel() -> tuple[str, ...]:
    """The command that runs libdatachannel."""
    return _node("node-datachannel", "libdatachannel.mjs")


def aiortc() -> tuple[str, ...]:
    """The command that runs aiortc."""
    return (sys.executable, "-m", "tests.interop.stacks.aiortc.client")


def gstreamer() -> tuple[str, ...]:
    """The command that runs GStreamer."""
    probe = "import gi; gi.require_version('GstWebRTC', '1.0')"
    asked = subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False)
    if asked.returncode != 0:
        raise NotInstalledError("GStreamer", "`make interop` names the Debian packages")
    return (SYSTEM_PYTHON, "-m", "tests.interop.stacks.gstreamer.client")


def _node(package: str, file: str) -> tuple[str, ...]:
    if not (HERE / "node" / "node_modules" / package).is_dir():
        raise NotInstalledError(package, "run `npm ci` in tests/interop/stacks/node")
    return (program("node"), str(HERE / "node" / file))
