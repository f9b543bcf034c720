"""A forwarder without signalling: people are told keys and addresses, and so is it."""

from __future__ import annotations

from bench.loadgen.servers import BareServer
from bench.loadgen.venue import Habits, Venue, VenueError


def bare_venue(server: BareServer, habits: Habits) -> Venue:
    """Raises VenueError: there is no such program yet."""
    raise VenueError("not measured: there is no bare forwarder in this tree")
