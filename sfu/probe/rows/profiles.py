"""SRTP protection profiles, one at a time, and whose order decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.client import Hello
from sfu.probe.lab import Lab, agreed, outcome
from sfu.probe.row import REFUSED, Expected, Observation, Row, accepted_if, must
from sfu.probe.srtp import PROFILES, profile_name


def _alone(openssl: str) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            handshake = await session.shake(Hello(profiles=openssl))
            if handshake.done and not handshake.error and handshake.profile is None:
                return Observation("no profile", "the handshake went on without one")
            return outcome(handshake)

    return run


def _row(name: str, openssl: str) -> Row:
    return Row(
        id=f"srtp-{name.lower().replace('_', '-')}",
        tried=f"{name} alone",
        clause="RFC 8827 section 6.5; RFC 7714 section 14; policy, srtp_profiles",
        expected=accepted_if(lambda policy: name in policy.srtp_profiles),
        run=_alone(openssl),
    )


async def _order(lab: Lab) -> Observation:
    offered = ":".join(PROFILES[name].openssl for name in reversed(lab.policy.srtp_profiles))
    async with lab.session() as session:
        handshake = await session.shake(Hello(profiles=offered))
        return agreed(handshake, profile_name(handshake.profile))


async def _left_out(lab: Lab) -> Observation:
    async with lab.session() as session:
        return outcome(await session.shake(Hello(profiles=None)))


ROWS: Final = (
    *(_row(name, profile.openssl) for name, profile in PROFILES.items()),
    Row(
        id="srtp-order",
        tried="the policy's SRTP profiles in the opposite order",
        clause="RFC 5764 section 4.1.1; policy, srtp_profiles",
        expected=lambda policy: Expected.one(policy.srtp_profiles[0]),
        run=_order,
    ),
    Row(
        id="srtp-left-out",
        tried="a hello without use_srtp",
        clause="RFC 5764 section 4.1; RFC 8827 section 6.5",
        expected=must(REFUSED),
        run=_left_out,
    ),
)
