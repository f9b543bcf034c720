"""Starts the servers that are compared, all in one arena and on one core."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from bench.arena import SERVER_ADDRESS, Arena
from bench.loadgen.servers import JanusServer, LiveKitServer, Server
from bench.scenarios import PIPED, TWO_WORKERS
from bench.versus.bare import bare
from bench.versus.bare import program as bare_program
from bench.versus.janus.server import PORT as JANUS_PORT
from bench.versus.janus.server import janus
from bench.versus.janus.server import program as janus_program
from bench.versus.livekit import livekit
from tests.faults.public_node import PORT, public_node

Name = Literal["conclave", "bare", "janus", "livekit"]
NAMES: Final[tuple[Name, ...]] = ("conclave", "bare", "janus")
"""In the order of the table. livekit takes part when its program is given."""

Started = AbstractAsyncContextManager[Server]
_UNLIMITED: Final[Mapping[str, object]] = {
    # All of a bench's people come from one address, quicker than any real person would
    "joins_per_minute": 0,
    "connections_per_address": 0,
    "max_participants_per_room": 1500,
}

_VARIANTS: Final[Mapping[str, str]] = {TWO_WORKERS: "signaling", PIPED: "bench.scattered"}
"""The programs that serve with two workers."""
_VARIANT_PORT: Final = 7890
COALESCE_US: Final = 1000
"""What ours has where nothing is set."""


class NotMeasured(Exception):
    """Why a server does not take part."""


def contender(
    name: Name, livekit_program: Path | None = None, coalesce_us: int = COALESCE_US
) -> Callable[[Arena], Started]:
    """How to start it, ours with that setting. Raises NotMeasured where it is not here."""
    match name:
        case "conclave":
            return lambda arena: _conclave(arena, coalesce_us=coalesce_us)
        case "janus":
            if janus_program() is None:
                raise NotMeasured("not installed (Debian package janus)")
            return _janus
        case "livekit":
            if livekit_program is None:
                raise NotMeasured("no program given (--versus livekit=PATH)")
            program = livekit_program
            return lambda arena: livekit(arena, program)
        case "bare":
            if (built := bare_program()) is None:
                raise NotMeasured("not built (`make bench` builds it)")
            return lambda arena: _bare(arena, built)


def version(name: Name, livekit_program: Path | None = None) -> str:
    """What it says it is; of what is built from this tree, that."""
    program = {"janus": janus_program(), "livekit": livekit_program}.get(name)
    if program is None:
        return "of this commit"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20)
    number = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return number[0] if number else "unknown version"


def variant(name: str) -> Callable[[Arena], Started]:
    """How to start ours with two workers, beside the ordinary one. Raises KeyError."""
    program = _VARIANTS[name]
    return lambda arena: _conclave(arena, program, _VARIANT_PORT, workers=2)


@asynccontextmanager
async def _conclave(
    arena: Arena, program: str = "signaling", first_port: int = PORT, **media: int
) -> AsyncIterator[Server]:
    """Ours with these settings of the table `media`."""
    async with public_node(
        arena.server,
        names=[SERVER_ADDRESS],
        bind=["0.0.0.0"],
        runs_with=arena.on_server_core,
        limits=_UNLIMITED,
        program=program,
        first_port=first_port,
        **media,
    ) as node:
        yield LiveKitServer(
            pid=node.process.pid,
            core=arena.server_core,
            host=SERVER_ADDRESS,
            port=first_port,
            authority=str(node.authority),
            api_key="APItest",
            api_secret=node.secret,
            admin_port=first_port + 1,
            namespace=arena.server.name,
        )


@asynccontextmanager
async def _janus(arena: Arena) -> AsyncIterator[Server]:
    async with janus(arena.server, arena.on_server_core) as pid:
        yield JanusServer(pid, arena.server_core, SERVER_ADDRESS, JANUS_PORT)


@asynccontextmanager
async def _bare(arena: Arena, program: Path) -> AsyncIterator[Server]:
    """Only described: the generator starts it, when it knows keys and addresses."""
    runs_with = arena.server.command(*arena.on_server_core)
    yield bare(program, SERVER_ADDRESS, arena.server_core, runs_with)
