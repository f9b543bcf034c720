"""Servers to meet at: ours with the product's page, Janus with a page of the bench."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from bench.impair.networks import ADDRESSES, Networks, Place
from bench.impair.people import SMALL, VIEWER, Brings, Person, Site, chromium
from bench.loadgen.token import access_token
from bench.versus.janus.people import janus_person
from bench.versus.janus.server import janus
from tests.browser import connections
from tests.faults.public_node import PORT, public_node

Server = Literal["conclave", "janus"]
SERVERS: Final[tuple[Server, ...]] = ("conclave", "janus")
ROOM: Final = "impaired"
JOIN_PATIENCE: Final = 30.0  # seconds


class Venue(Protocol):
    """A server that runs, and how somebody joins the one call on it."""

    def person(
        self, name: str, place: Place, brings: Brings, window: tuple[int, int] | None = None
    ) -> AbstractAsyncContextManager[Person]:
        """Somebody who has joined, for the time of the block. Raises DriverError."""
        ...


@asynccontextmanager
async def venue(server: Server, joined: Networks) -> AsyncIterator[Venue]:
    """The server, for the time of the block. Raises RuntimeError where it does not start."""
    if server == "janus":
        async with janus(joined.server):
            yield _Janus()
    else:
        async with public_node(joined.server, names=ADDRESSES) as node:
            yield _Conclave(node.secret)


def fitting(brings: Brings, window: tuple[int, int] | None) -> tuple[int, int]:
    """Who only looks needs a large window, who brings something saves the drawing."""
    return window or (VIEWER if brings == "nothing" else SMALL)


class _Janus:
    def person(
        self, name: str, place: Place, brings: Brings, window: tuple[int, int] | None = None
    ) -> AbstractAsyncContextManager[Person]:
        return janus_person(name, place, brings, fitting(brings, window), JOIN_PATIENCE)


@dataclass(frozen=True, slots=True)
class _Conclave:
    secret: str

    @asynccontextmanager
    async def person(
        self, name: str, place: Place, brings: Brings, window: tuple[int, int] | None = None
    ) -> AsyncIterator[Person]:
        token = access_token("APItest", self.secret, ROOM, name)
        url = f"https://{place.address}:{PORT}/?audio=raw#token={token}"
        async with chromium(place, url, brings, fitting(brings, window)) as (browser, page):
            await connections.remember(page)
            await page.wait_for_element("join-button")
            if brings == "nothing":
                await page.click("join-microphone")
            if brings != "camera":
                await page.click("join-camera")
            await page.click("join-button")
            await page.wait_for_element("participant-tile", JOIN_PATIENCE)
            yield Person(browser, page, _SITE)


_SITE: Final = Site(
    in_the_call="""() => document.querySelector('[data-testid="participant-tile"]') !== null""",
    shared_screen='[data-testid="screen-stage"] video',
    share="screen-toggle",
    is_sharing='[data-testid="screen-toggle"][data-enabled="true"]',
)
