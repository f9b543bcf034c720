"""Every DTLS 1.2 suite that OpenSSL knows, one at a time, and whose order decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.client import Hello
from sfu.probe.lab import Lab, agreed, outcome
from sfu.probe.row import Expected, Observation, Row, accepted_if
from sfu.probe.suites import SUITES


def _alone(suite: str) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            handshake = await session.shake(Hello(suites=(suite,), groups="X25519:P-256"))
            return outcome(handshake)

    return run


async def _order(lab: Lab) -> Observation:
    """All suites of the policy, in the opposite of its order."""
    async with lab.session() as session:
        handshake = await session.shake(Hello(suites=tuple(reversed(lab.policy.suites))))
        return agreed(handshake, handshake.suite)


def _row(suite: str) -> Row:
    return Row(
        id=f"suite-{suite.removeprefix('TLS_').lower()}",
        tried=f"{suite} alone",
        clause="RFC 8827 section 6.5; policy, suites",
        expected=accepted_if(lambda policy: suite in policy.suites),
        run=_alone(suite),
    )


ORDER: Final = Row(
    id="suite-order",
    tried="the policy's suites in the opposite order",
    clause="policy, suites",
    expected=lambda policy: Expected.one(policy.suites[0]),
    run=_order,
)
ROWS: Final = (*(_row(suite.iana) for suite in SUITES), ORDER)
