"""What a server still has when everybody has left, and whether that grew."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.loadgen.metrics import admin_page
from bench.loadgen.servers import LiveKitServer
from bench.process import resident_bytes

GAUGES: Final = (
    "conclave_rooms",
    "conclave_participants",
    "conclave_peers",
    "conclave_tracks",
    "conclave_downtracks",
    "conclave_handshakes_in_flight",
    'conclave_relay_total{name="peers_now"}',
    'conclave_relay_total{name="tracks_now"}',
    'conclave_relay_total{name="downtracks_now"}',
)
SPARE_DESCRIPTORS: Final = 2
"""A socket that we ask by may still be closing."""
GROWTH_A_JOIN: Final = 200.0
"""Bytes. An object that each join left behind would be more: the least that a transport or a task
takes is thousands.
"""

MIN_JOINS: Final = 2_000
"""Between what is compared. Fewer tell nothing: free memory goes up and down by megabytes."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a server where nobody should be."""

    resident: int  # bytes
    descriptors: int
    threads: int
    joins: int  # that it has admitted so far
    left: dict[str, int] = field(default_factory=dict)  # gauges that are not 0


async def look(server: LiveKitServer, proc: Path) -> Look:
    """Raises OSError when it is gone."""
    page = await admin_page(server.host, server.admin_port)
    own = proc / str(server.pid)
    gauges = {name: _value(page, name) for name in GAUGES}
    return Look(
        resident=resident_bytes(server.pid),
        descriptors=len(list((own / "fd").iterdir())),
        threads=len(list((own / "task").iterdir())),
        joins=_value(page, 'conclave_joins_total{outcome="admitted"}'),
        left={name: value for name, value in gauges.items() if value},
    )


def faults(seen: Sequence[Look]) -> list[str]:
    """What is wrong, in sentences. What a first use makes and keeps is in the first quarter.

    Python looks for garbage when enough was made, so memory goes up and down: the least of the
    second half is held against the least of the quarter before.
    """
    first, last = seen[0], seen[-1]
    middle = seen[len(seen) // 2]
    wrong = [f"{name} is {value} with nobody there" for name, value in last.left.items()]
    if last.descriptors > first.descriptors + SPARE_DESCRIPTORS:
        wrong.append(f"{last.descriptors - first.descriptors} descriptors are left open")
    if last.threads > middle.threads:
        wrong.append(f"{last.threads - middle.threads} threads are left")
    half = len(seen) // 2
    before, after = _least(seen[len(seen) // 4 + 1 : half + 1]), _least(seen[half + 1 :])
    joins, grown = after.joins - before.joins, after.resident - before.resident
    if joins >= MIN_JOINS and grown / joins > GROWTH_A_JOIN:
        wrong.append(f"memory grew by {grown / joins:.0f} bytes with each of {joins} joins")
    return wrong


def _least(seen: Sequence[Look]) -> Look:
    return min(seen, key=lambda one: one.resident)


def _value(page: str, name: str) -> int:
    line = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return int(float(line[1])) if line else 0
