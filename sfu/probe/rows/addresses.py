"""Whom the media port speaks to: valid STUN proves a password, not an address."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from sfu.probe.client import Handshake, Hello
from sfu.probe.identity import identity
from sfu.probe.lab import HANDSHAKE, Lab, outcome
from sfu.probe.path import Path
from sfu.probe.row import ACCEPTED, Expected, Observation, Row, Untested, must

_SILENCE: Final = "silence"
_ANSWERED: Final = "answered"
_WITHIN_FACTOR: Final = "within the limit"
_BEYOND: Final = "beyond the limit"
_KEPT: Final = "kept"
_GIVEN: Final = "given to the other"
_LISTEN: Final = 1.5  # seconds: longer than a server's first retransmission of a flight
_LISTEN_UNPROVEN: Final = 4.0  # seconds: the retransmissions at 1 and at 3 s count too


async def _unbound(lab: Lab) -> Observation:
    """From a second port, of which the server has had no check; the first one goes on living."""
    async with (
        lab.session() as session,
        Path.opened(session.local.credentials, session.remote) as stranger,
    ):
        until = time.monotonic() + _LISTEN
        while time.monotonic() < until and stranger.received == 0:
            Handshake(Hello(), session.who).step(stranger)
            await asyncio.sleep(0.25)
        if stranger.received:
            return Observation(_ANSWERED, f"{stranger.received} bytes")
        return Observation(_SILENCE)


async def _integrity(lab: Lab) -> Observation:
    """Checks with a wrong password; the right one was answered on another port."""
    async with (
        lab.session() as session,
        Path.opened(session.local.credentials, session.remote) as stranger,
    ):
        for _ in range(3):
            stranger.check(password="a-password-that-is-not-the-right-one")  # noqa: S106 - on purpose
            await asyncio.sleep(0.2)
        if stranger.checks_answered:
            return Observation(_ANSWERED, "as if the password were right")
        return Observation(_SILENCE)


async def _drawn(lab: Lab) -> Observation:
    """A check and a hello, then nothing: no answer to the server's checks, no more sent."""
    async with lab.session(answers=False) as session:
        path = session.path
        path.pause_consent()
        Handshake(Hello(), session.who).step(path)
        await asyncio.sleep(_LISTEN_UNPROVEN)
        if path.dtls.empty() and path.received == 0:
            raise Untested("the server did not say a word")
        factor = path.received / path.sent
        detail = f"{path.received} bytes for {path.sent}, {factor:.1f} times"
        within = factor <= lab.policy.unproven_factor
        return Observation(_WITHIN_FACTOR if within else _BEYOND, detail)


async def _claimed(lab: Lab) -> Observation:
    """Two sessions; the second one's credentials are then used from the first one's address."""
    async with (
        lab.session() as first,
        lab.session(identity(number=1), seat=1, prove=False) as second,
    ):
        alive = outcome(await first.shake())
        if alive.outcome != ACCEPTED:
            raise Untested(f"the first handshake failed ({alive.detail})")
        for _ in range(3):
            first.path.check(remote=second.remote)
            await asyncio.sleep(0.1)
        claim = Handshake(Hello(), second.who)
        await claim.run(first.path, HANDSHAKE / 2, second.exchange.ended)
        if claim.done:
            return Observation(_GIVEN, "the second session's handshake was done from there")
        return Observation(_KEPT)


def _limit(policy_factor: float) -> Expected:
    return Expected.one(_WITHIN_FACTOR, sentence=f"at most {policy_factor:g} bytes for each sent")


ROWS: Final = (
    Row(
        id="address-unbound",
        tried="a hello from an address that no connectivity check has bound",
        clause="RFC 8445 section 7.3; policy",
        expected=must(_SILENCE),
        run=_unbound,
    ),
    Row(
        id="address-wrong-password",
        tried="a connectivity check with a wrong password",
        clause="RFC 8445 section 7.3; RFC 8489 section 9.1.3",
        expected=must(_SILENCE),
        run=_integrity,
    ),
    Row(
        id="address-unproven",
        tried="a check and a hello from an address that answers nothing",
        clause="RFC 9000 section 8.1 by analogy; policy, unproven_factor",
        expected=lambda policy: _limit(policy.unproven_factor),
        run=_drawn,
    ),
    Row(
        id="address-claimed",
        tried="a live peer's address claimed with another session's credentials",
        clause="RFC 8445 section 7.3.1.4; policy",
        expected=must(_KEPT),
        run=_claimed,
        peers=2,
    ),
)
