"""Extended master secret, tickets and resumption."""

from __future__ import annotations

from typing import Final

from sfu.probe.client import Hello
from sfu.probe.lab import Lab, outcome
from sfu.probe.row import REFUSED, Observation, Row, Untested, must

_NONE: Final = "none"
_ISSUED: Final = "issued"
_FULL: Final = "a full handshake"
_RESUMED: Final = "resumed"


async def _without_extended_master_secret(lab: Lab) -> Observation:
    async with lab.session() as session:
        return outcome(await session.shake(Hello(extended_master_secret=False)))


async def _ticket(lab: Lab) -> Observation:
    async with lab.session() as session:
        handshake = await session.shake(Hello(tickets=True))
        if not handshake.done:
            raise Untested(f"the handshake failed ({handshake.error})")
        if handshake.ticket is not None:
            return Observation(_ISSUED, f"{len(handshake.ticket)} bytes")
        return Observation(_NONE)


async def _resumption(lab: Lab) -> Observation:
    """Twice, the second time with whatever the first one left: ticket or session identifier."""
    async with lab.session() as session:
        first = await session.shake(Hello(tickets=True))
        if not first.done:
            raise Untested(f"the handshake failed ({first.error})")
    async with lab.session() as session:
        second = await session.shake(resuming=first)
        if second.done:
            return Observation(_FULL if second.certificate else _RESUMED)
        return Observation(_FULL if second.certificate else REFUSED, second.error)


ROWS: Final = (
    Row(
        id="extended-master-secret",
        tried="a client without the extended master secret",
        clause="RFC 7627 section 5.3; policy",
        expected=must(REFUSED),
        run=_without_extended_master_secret,
    ),
    Row(
        id="session-ticket",
        tried="a client that asks for a session ticket",
        clause="RFC 5077 section 3.3; policy: no tickets",
        expected=must(_NONE),
        run=_ticket,
    ),
    Row(
        id="session-resumption",
        tried="a second handshake that would resume the first one's session",
        clause="RFC 5246 section 7.3; policy: no resumption",
        expected=must(_FULL),
        run=_resumption,
        seconds=25,
    ),
)
