"""The handshake over a network that loses datagrams, by seeds so that runs compare."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.lab import Lab, outcome
from sfu.probe.path import Loss
from sfu.probe.row import ACCEPTED, Observation, Row, must

_WITHIN: Final = 25.0  # seconds: timers of 1, 2, 4 and 8 s, and each side waits for the other's
_SEEDS: Final = {10: 7, 30: 5}


def _losing(percent: int, seed: int) -> Loss:
    chance = random.Random(seed)  # noqa: S311 - which datagrams are lost is no secret
    return lambda: chance.random() * 100 < percent


def _at(percent: int) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            session.path.loss = _losing(percent, _SEEDS[percent])
            return outcome(await session.shake(within=_WITHIN))

    return run


ROWS: Final = tuple(
    Row(
        id=f"loss-{percent}",
        tried=f"a handshake that loses {percent} % of its datagrams, both ways",
        clause="RFC 6347 section 4.2.4",
        expected=must(ACCEPTED),
        run=_at(percent),
        seconds=_WITHIN + 6,
    )
    for percent in _SEEDS
)
