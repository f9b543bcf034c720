"""A crafted hello put to a server, and what it says until encryption begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sfu.probe.crafter.answers import HelloVerifyRequest
from sfu.probe.crafter.flight import Flight
from sfu.probe.crafter.fragments import Fragment, cut, datagrams
from sfu.probe.crafter.hello import ClientHello
from sfu.probe.crafter.vectors import Malformed
from sfu.probe.lab import Session

PATIENCE: Final = 4.0  # seconds for an answer
REPEAT: Final = 1.0  # seconds until a hello is said again (RFC 6347 section 4.2.4.1)
_STEP: Final = 0.1
_PIECE: Final = 1175  # bytes of a fragment whose datagram is 1,200 long

Cutting = Callable[[bytes, int], Sequence[Fragment]]
"""How a hello's body, as a message of that number, is put into fragments, in the order sent."""


@dataclass
class Greeting:
    """What came of a hello."""

    flight: Flight = field(default_factory=Flight)
    sent: int = 0  # bytes of DTLS
    broken: Malformed | None = None  # what the server said that no server may say
    ended: str | None = None  # why signalling ended meanwhile

    @property
    def why_refused(self) -> str:
        """In a few words."""
        if self.broken is not None:
            return f"malformed answer ({self.broken.code})"
        if self.flight.refusal is not None:
            return f"alert {self.flight.refusal}"
        return f"signalling ended: {self.ended}" if self.ended else "no answer"


def honestly(body: bytes, message: int) -> Sequence[Fragment]:
    """Whole where it fits a datagram, else in as few pieces as it takes."""
    return cut(body, _PIECE, message=message)


async def greet(
    session: Session,
    hello: ClientHello,
    cutting: Cutting = honestly,
    *,
    within: float | None = None,
) -> Greeting:
    """Say it for `within` seconds (`PATIENCE` unless given) or until an answer is complete, giving
    back a cookie when one is asked for.

    Every repetition has new record numbers: a server's replay window drops old ones.
    """
    seen, message, records = Greeting(), 0, 0
    deadline = time.monotonic() + (PATIENCE if within is None else within)
    while not _over(session, seen) and time.monotonic() < deadline:
        sent = datagrams(cutting(hello.body(), message), first=records)
        records += len(sent)
        _say(session, seen, sent)
        await _listen(session, seen, min(deadline, time.monotonic() + REPEAT), message == 0)
        asked = seen.flight.first(HelloVerifyRequest)
        if asked is not None and message == 0:
            hello, message = replace(hello, cookie=asked.cookie), 1
    return seen


async def throw(session: Session, sent: Sequence[bytes], *, listening: float) -> Greeting:
    """Send these datagrams once, and hear what comes, however much, until so many seconds after the
    server has answered a connectivity check sent behind them: it has read them by then.
    """
    seen = Greeting()
    _say(session, seen, sent)
    answered = session.path.checks_answered
    session.path.check()
    until = time.monotonic() + PATIENCE
    while session.path.checks_answered == answered and time.monotonic() < until:
        await _hear(session, seen, _STEP)
    deadline = time.monotonic() + listening
    while (left := deadline - time.monotonic()) > 0:
        await _hear(session, seen, min(left, _STEP))
    return seen


def _say(session: Session, seen: Greeting, sent: Sequence[bytes]) -> None:
    for datagram in sent:
        session.path.send(datagram)
        seen.sent += len(datagram)


async def _listen(session: Session, seen: Greeting, until: float, cookie_asked: bool) -> None:
    while not _over(session, seen) and (left := until - time.monotonic()) > 0:
        await _hear(session, seen, min(left, _STEP))
        if cookie_asked and seen.flight.first(HelloVerifyRequest) is not None:
            return


async def _hear(session: Session, seen: Greeting, within: float) -> None:
    """What comes next, and all that has come by then: a flood must not be counted by its start."""
    try:
        waiting = [await asyncio.wait_for(session.path.dtls.get(), within)]
    except TimeoutError:
        seen.ended = seen.ended or session.exchange.ended()
        return
    while not session.path.dtls.empty():
        waiting.append(session.path.dtls.get_nowait())
    for datagram in waiting:
        try:
            seen.flight.feed(datagram)
        except Malformed as error:
            seen.broken = seen.broken or error


def _over(session: Session, seen: Greeting) -> bool:
    flight = seen.flight
    retry = any(getattr(answer, "retry", False) for answer in flight.answers)
    answered = flight.done or (flight.hello is not None and flight.encrypted) or retry
    return bool(answered or flight.refusal or seen.broken or seen.ended)
