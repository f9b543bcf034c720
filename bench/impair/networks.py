"""Where people and servers are: one client behind a bad link, the rest behind a cable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench.link.running import Link, tunnelled
from tests.faults.namespaces import Host, host, link

_BAD, _GOOD = "10.78.0", "10.79.0"  # the server is .1, clients are .2


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace, and the server's address as it is seen from there."""

    host: Host
    address: str


@dataclass(frozen=True, slots=True)
class Networks:
    """Two places for people and one for the server, joined."""

    behind: Place
    """Behind the bad link."""
    clean: Place
    server: Host
    bad: Link


ADDRESSES: Final = (f"{_BAD}.1", f"{_GOOD}.1")
"""The server's own, as its certificate needs them."""


@asynccontextmanager
async def networks(seed: str) -> AsyncIterator[Networks]:
    """Namespaces and cables for the time of the block. Needs root.

    Raises LinkFailed, or AssertionError where a network could not be made.
    """
    with host("bad") as client, host("good") as friend, host("server") as server:
        link(friend, "net", server, "friend")
        friend.address("net", f"{_GOOD}.2/24")
        server.address("friend", f"{_GOOD}.1/24")
        async with tunnelled(client.name, server.name, seed=seed) as bad:
            client.address("net", f"{_BAD}.2/24")
            server.address("net", f"{_BAD}.1/24")
            behind, clean = (Place(*each) for each in zip((client, friend), ADDRESSES, strict=True))
            yield Networks(behind, clean, server, bad)
