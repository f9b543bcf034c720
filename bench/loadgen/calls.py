"""What one generator process does from beginning to end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bench.loadgen.bare import BareVenue
from bench.loadgen.climbing import climb
from bench.loadgen.dtls import PROFILES, Identity
from bench.loadgen.janus.venue import JanusVenue
from bench.loadgen.joining import joins
from bench.loadgen.livekit import LiveKitVenue
from bench.loadgen.metrics import admin_page
from bench.loadgen.servers import BareServer, JanusServer, LiveKitServer, Server
from bench.loadgen.stage import Opens, Stage
from bench.loadgen.venue import Habits, Venue, VenueError
from bench.loadgen.windows import idle, in_turns
from bench.process import resident_bytes
from bench.scenarios import Plan, Scenario

LOSES: Final = 0.005
"""Share of the packets that receivers who give feedback say they lost: enough that resends are at
work, too little for anybody's congestion control to slow down."""

Seen = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clients:
    """What all clients of a run have in common."""

    profile: str  # of SRTP, a key of `PROFILES`
    suite: str
    tells: bool  # receivers give transport-wide feedback and ask for lost packets


def venue(server: Server, habits: Habits) -> Venue:
    """How people meet on a server of this kind."""
    match server:
        case LiveKitServer():
            return LiveKitVenue(server, habits)
        case JanusServer():
            return JanusVenue(server, habits)
        case BareServer():
            return BareVenue(server, habits)


async def compare(
    servers: Mapping[str, Server], plan: Plan, scenarios: list[Scenario], clients: Clients
) -> Seen:
    """The scenarios, which share their people, on all servers in turns.

    A server that cannot gather them is left out and the reason told; raises VenueError when that
    is so for all, OSError or VenueError when one is lost later.
    """
    stages: dict[str, Stage] = {}
    seen: Seen = {"memory": {}, "idle": {}, "failed": {}}
    gathering = scenarios[0].gathering
    try:
        for name, server in servers.items():
            stage = _stage(server, clients)
            before = _memory(server)
            try:
                await stage.gather(gathering)
            except (VenueError, OSError, TimeoutError) as error:
                seen["failed"][name] = f"{type(error).__name__}: {error}"
                await stage.close()
                continue
            stages[name] = stage
            if before is not None:
                after, peers = resident_bytes(stage.venue.pid), len(stage.people)
                seen["memory"][name] = {"before": before, "after": after, "peers": peers}
        if not stages:
            raise VenueError(f"no server could be measured: {seen['failed']}")
        seen["places"] = {name: stage.places() for name, stage in stages.items()}
        if scenarios[0].climbs:
            return seen | await climb(stages, plan, scenarios[0])
        seen["cells"] = await in_turns(stages, plan, scenarios)
        if plan.silence:
            looks = (idle(stage, plan.silence) for stage in stages.values())
            seen["idle"] = dict(zip(stages, await asyncio.gather(*looks), strict=True))
        return seen
    finally:
        for name, stage in stages.items():
            try:
                await stage.close()
            except OSError as error:
                print(f"{name}: {error}", file=sys.stderr)


async def join(server: Server, plan: Plan, clients: Clients) -> Seen:
    """The join scenario on one server. Raises VenueError, HandshakeError, OSError."""
    stage = _stage(server, clients)
    try:
        return await joins(stage, plan.joins, partial(_page, server))
    finally:
        await stage.close()


async def _page(server: Server) -> str:
    """The metrics of our own server."""
    if not isinstance(server, LiveKitServer) or not server.admin_port:
        return ""
    return await admin_page(server.host, server.admin_port, server.namespace)


def _stage(server: Server, clients: Clients) -> Stage:
    identity = Identity(PROFILES[clients.profile], clients.suite)
    opens: Opens = partial(venue, server)
    return Stage(opens, identity, tells=clients.tells, loses=LOSES if clients.tells else 0.0)


def _memory(server: Server) -> int | None:
    return None if isinstance(server, BareServer) else resident_bytes(server.pid)
