"""A server that speaks LiveKit's signalling: ours, or livekit-server."""

from __future__ import annotations

import ssl
from functools import partial

from bench.loadgen.metrics import relay_counters
from bench.loadgen.participant import Participant, Surroundings
from bench.loadgen.servers import LiveKitServer
from bench.loadgen.signalling import ServerAddress
from bench.loadgen.token import access_token
from bench.loadgen.venue import Habits


class LiveKitVenue:
    """Everybody has one connection for what they send and what they get."""

    def __init__(self, server: LiveKitServer, habits: Habits) -> None:
        trust = ssl.create_default_context(cafile=server.authority) if server.authority else None
        self._server = server
        self._address = ServerAddress(server.host, server.port, trust)
        self._habits = habits
        self.core = server.core
        self.pid = server.pid

    def person(self, room: str, name: str) -> Participant:
        """Somebody new, not yet joined."""
        mint = partial(access_token, self._server.api_key, self._server.api_secret, room)
        habits = self._habits
        world = Surroundings(
            self._address,
            habits.identity,
            habits.delays,
            mint,
            habits.attach,
            tells=habits.tells,
            loses=habits.loses,
            setup="active" if self._server.leads else "actpass",
        )
        return Participant(world, name)

    async def gathered(self) -> None:
        """The server tells those who listen of new tracks by itself."""

    async def counters(self) -> dict[str, int]:
        """Those of our own server."""
        server = self._server
        if not server.admin_port:
            return {}
        return await relay_counters(server.host, server.admin_port, server.namespace)

    async def close(self) -> None:
        """Sessions have ended with their people."""
