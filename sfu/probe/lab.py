"""What a row works with: fresh sessions with the target, and the policy it is held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sfu.probe.client import Handshake, Hello
from sfu.probe.identity import Identity, identity
from sfu.probe.path import Path
from sfu.probe.policy import Policy
from sfu.probe.row import ACCEPTED, REFUSED, Blocked, Observation, Postponed, Untested
from sfu.probe.sides import Credentials, Kind, LocalSide, RemoteSide, Track
from sfu.probe.targets import Busy, Exchange, Seat, Target, Unreachable

CHECKS: Final = 4.0  # seconds until a first connectivity check must have been answered
HANDSHAKE: Final = 5.0  # seconds; two retransmissions of a hello fit


@dataclass(frozen=True, slots=True)
class Lab:
    """Given to a row when it runs. `seats` are reserved for it and are of one room."""

    policy: Policy
    target: Target
    seats: tuple[Seat, ...]

    @asynccontextmanager
    async def session(
        self,
        who: Identity | None = None,
        *,
        seat: int = 0,
        fingerprints: Sequence[str] | None = None,
        sends: Sequence[Track] = (),
        receives: Sequence[Kind] = ("audio",),
        answers: bool = True,
        prove: bool = True,
    ) -> AsyncIterator[Session]:
        """A signalling session and, unless `prove` is False, a path with a check answered.

        `fingerprints` instead of the true one; `answers` False leaves the server's own checks
        unanswered. Raises `Blocked` and `Untested`, or `DescriptionRefused` for a refused offer.
        """
        who = who or identity()
        local = LocalSide(
            credentials=Credentials(),
            fingerprints=(who.fingerprint(),) if fingerprints is None else tuple(fingerprints),
            sends=tuple(sends),
            receives=tuple(receives),
        )
        try:
            exchange = await self.target.open(self.seats[seat], local)
        except Busy as busy:
            raise Postponed(f"signalling failed: {busy}", busy.seconds) from None
        except Unreachable as error:
            raise Blocked(f"signalling failed: {error}") from None
        try:
            if exchange.remote.setup != "passive":
                raise Untested("the server does not take the DTLS server's role")
            async with Path.opened(local.credentials, exchange.remote, answers=answers) as path:
                if prove and not await path.prove(CHECKS):
                    raise Blocked("no connectivity check was answered")
                yield Session(who, local, exchange, path)
        finally:
            await exchange.close()


@dataclass(frozen=True, slots=True)
class Session:
    """One participant of ours: signalling, and a path to the media port."""

    who: Identity
    local: LocalSide
    exchange: Exchange
    path: Path

    @property
    def remote(self) -> RemoteSide:
        return self.exchange.remote

    async def shake(
        self,
        hello: Hello | None = None,
        *,
        within: float = HANDSHAKE,
        resuming: Handshake | None = None,
    ) -> Handshake:
        """A handshake, over when this returns. Raises `Untested` where OpenSSL cannot offer it."""
        handshake = Handshake(hello or Hello(), self.who, resuming=resuming)
        await handshake.run(self.path, within, self.exchange.ended)
        return handshake


def outcome(handshake: Handshake) -> Observation:
    """Accepted or refused, and by what."""
    if handshake.done and not handshake.error:
        return Observation(ACCEPTED, handshake.summary)
    return Observation(REFUSED, handshake.error, silent=handshake.silent)


def agreed(handshake: Handshake, chosen: str | None) -> Observation:
    """What the server chose in a handshake that it accepted."""
    if handshake.done and not handshake.error:
        return Observation(chosen or "nothing", handshake.summary)
    return Observation(REFUSED, handshake.error, silent=handshake.silent)
