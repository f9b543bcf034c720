"""The people of a churn: each comes, is connected, speaks or listens, and goes."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Iterator
from functools import partial
from typing import Final

from bench.loadgen.driver import Driver
from bench.loadgen.dtls import PROFILES, SUITES, Identity
from bench.loadgen.media import Audio
from bench.loadgen.participant import Participant, Surroundings
from bench.loadgen.servers import LiveKitServer
from bench.loadgen.signalling import ServerAddress
from bench.loadgen.token import access_token

ROOMS: Final = 4
"""Which begin and end all the time."""


class Crowd:
    """To be made inside a running event loop."""

    def __init__(self, server: LiveKitServer) -> None:
        self.joined = 0
        self._server = server
        self._driver = Driver()
        self._identity = Identity(PROFILES["gcm"], SUITES[0])
        trust = ssl.create_default_context(cafile=server.authority) if server.authority else None
        self._address = ServerAddress(server.host, server.port, trust)

    async def come_and_go(self, joins: int, at_once: int) -> None:
        """So many visits. Raises SignallingError when one fails."""
        left = iter(range(joins))
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._visits(left))

    async def _visits(self, numbers: Iterator[int]) -> None:
        for _ in numbers:
            await self._visit()

    async def _visit(self) -> None:
        number = self.joined
        self.joined += 1
        mint = partial(
            access_token, self._server.api_key, self._server.api_secret, f"churn-{number % ROOMS}"
        )
        world = Surroundings(self._address, self._identity, _NoDelays(), mint, self._driver.attach)
        person = Participant(world, f"person-{number}")
        try:
            if number % 3:
                await person.listen(audio=1, video=1)
            else:
                await person.publish("audio", Audio(secrets.randbelow(2**32 - 2) + 1, 1))
        finally:
            if person.transport is not None:
                self._driver.detach(person.transport)
            await person.close()


class _NoDelays:
    """Nobody measures delays here."""

    def sent(self, source: int, counter: int, at: int) -> None:
        """Taken, and forgotten."""

    def arrived(self, source: int, counter: int, at: int) -> None:
        """Taken, and forgotten."""
