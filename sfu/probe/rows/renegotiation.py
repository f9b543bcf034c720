"""A second handshake inside the first: it must not happen.

RFC 8827 forbids it, since certificate and keys were checked for the first one only. The client's
hello is encrypted, so this row is OpenSSL's; an alert, or no answer, is a refusal.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

from sfu.probe.client import Handshake
from sfu.probe.lab import Lab, Session
from sfu.probe.row import ACCEPTED, REFUSED, Observation, Row, Untested, must

_WITHIN: Final = 2.0  # seconds; a server that keeps silent has refused
_STEP: Final = 0.1


async def _run(lab: Lab) -> Observation:
    async with lab.session() as session:
        handshake = await session.shake()
        if not handshake.done or handshake.error:
            raise Untested(f"there was no first handshake: {handshake.error}")
        if not handshake.connection.renegotiate():
            raise Untested("this build of OpenSSL does not renegotiate")
        return await _second(session, handshake)


async def _second(session: Session, handshake: Handshake) -> Observation:
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        handshake.step(session.path)
        if handshake.error:
            return Observation(REFUSED, handshake.error)
        if not handshake.connection.renegotiate_pending():
            return Observation(ACCEPTED, "a second handshake was finished")
        if why := session.exchange.ended():
            return Observation(REFUSED, f"signalling ended: {why}")
        with contextlib.suppress(TimeoutError):
            datagram = await asyncio.wait_for(session.path.dtls.get(), _STEP)
            handshake.connection.bio_write(datagram)
    return Observation(REFUSED, "no answer")


ROWS: Final = (
    Row(
        id="renegotiation",
        tried="a second handshake inside the first",
        clause="RFC 8827 section 6.5",
        expected=must(REFUSED),
        run=_run,
    ),
)
