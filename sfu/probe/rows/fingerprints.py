"""Fingerprints in the offer that do not prove who shakes hands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sfu.probe.identity import Identity, identity
from sfu.probe.lab import Lab, outcome
from sfu.probe.row import ACCEPTED, REFUSED, Observation, Row, must
from sfu.probe.targets import DescriptionRefused

_OTHER: Final = 1  # the number of an identity that is somebody else's


def _announcing(
    lines: Callable[[Identity, Identity], Sequence[str]],
) -> Callable[[Lab], Awaitable[Observation]]:
    """Announce these fingerprints, made of our own identity and of somebody else's."""

    async def run(lab: Lab) -> Observation:
        ours, other = identity(), identity(number=_OTHER)
        try:
            async with lab.session(ours, fingerprints=lines(ours, other)) as session:
                return outcome(await session.shake())
        except DescriptionRefused as refused:
            return Observation(REFUSED, f"the offer: {refused}")

    return run


ROWS: Final = (
    Row(
        id="fingerprint-wrong",
        tried="the fingerprint of somebody else's certificate",
        clause="RFC 8122 section 6.2; RFC 8827 section 6.5",
        expected=must(REFUSED),
        run=_announcing(lambda _, other: [other.fingerprint()]),
    ),
    Row(
        id="fingerprint-missing",
        tried="an offer without any fingerprint",
        clause="RFC 8829 section 5.2.1; RFC 5763 section 5",
        expected=must(REFUSED),
        run=_announcing(lambda _, __: []),
    ),
    Row(
        id="fingerprint-sha-1",
        tried="the right fingerprint by sha-1 and no other",
        clause="RFC 8122 section 5; RFC 8827 section 6.5",
        expected=must(REFUSED),
        run=_announcing(lambda ours, _: [ours.fingerprint("sha-1")]),
    ),
    Row(
        id="fingerprint-several-one-wrong",
        tried="the right sha-256 beside a wrong sha-512",
        clause="RFC 8122 section 5.1; policy: every strong fingerprint matches",
        expected=must(REFUSED),
        run=_announcing(lambda ours, other: [ours.fingerprint(), other.fingerprint("sha-512")]),
    ),
    Row(
        id="fingerprint-several-right",
        tried="the right sha-256 beside the right sha-512",
        clause="RFC 8122 section 5.1",
        expected=must(ACCEPTED),
        run=_announcing(lambda ours, _: [ours.fingerprint(), ours.fingerprint("sha-512")]),
    ),
)
