"""Hellos that no client should send cost a server nothing: no crash, no flood, no handshake.

Each is sent once to a fresh session. A server answers with an alert or not at all; what it sends is
at most as many times the bytes that it got as the policy grants an unproven address; and a session
after it gets its ServerHello. The one of 60 KB breaks no rule, so it may be greeted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.crafter.hello import dtls12
from sfu.probe.crafter.odd import ODD, Odd
from sfu.probe.greeting import greet, throw
from sfu.probe.lab import Lab
from sfu.probe.policy import Policy
from sfu.probe.row import Expected, Observation, Row

KEPT_OFF: Final = "kept off"  # an alert, or silence
GREETED: Final = "greeted"
FLOODED: Final = "flooded"
STOPPED: Final = "stopped serving"

_LISTENING: Final = 0.5  # seconds
_LEGAL: Final = frozenset({"60-kilobytes"})  # odd, but nothing forbids it


def _run(odd: Odd) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            seen = await throw(session, odd.make(), listening=_LISTENING)
        async with lab.session() as session:
            serves = (await greet(session, dtls12())).flight.hello is not None
        drawn, sent = seen.flight.bytes_received, seen.sent
        detail = f"{drawn} bytes for {sent}"
        if not serves:
            return Observation(STOPPED, "an honest hello after it got no answer")
        if drawn > lab.policy.unproven_factor * sent:
            return Observation(FLOODED, detail)
        if seen.flight.hello is not None:
            return Observation(GREETED, detail)
        return Observation(KEPT_OFF, seen.why_refused if drawn else "no answer")

    return run


def _expected(name: str) -> Callable[[Policy], Expected]:
    outcomes = (KEPT_OFF, GREETED) if name in _LEGAL else (KEPT_OFF,)
    sentence = f"{' or '.join(outcomes)}, at most a few times its bytes, and others served after it"
    expected = Expected.one(*outcomes, sentence=sentence)
    return lambda _policy: expected


ROWS: Final[tuple[Row, ...]] = tuple(
    Row(
        id=f"odd-hello-{name}",
        tried=odd.wrong,
        clause="RFC 6347 section 4.1.2.7; RFC 8446 section 6.2",
        expected=_expected(name),
        run=_run(odd),
    )
    for name, odd in ODD.items()
)
