"""The handshake over a network that loses datagrams, by seeds so that runs compare."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.lab import Lab, outcome
from sfu.probe.row import ACCEPTED, Observation, Row, Untested, must

_WITHIN: Final = 16.0  # seconds: timers of 1, 2, 4 and 8 s
# Seeds under which the server's first datagram is lost, and some after it.
_SEEDS: Final = {10: 15, 30: 22}


class _Losing:
    """Loses so many percent, and counts them."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._chance = random.Random(_SEEDS[percent])  # noqa: S311 - what is lost is no secret
        self.lost = 0

    def __call__(self) -> bool:
        lose = self._chance.random() * 100 < self._percent
        self.lost += lose
        return lose


def _at(percent: int) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            session.path.loss = losing = _Losing(percent)
            seen = outcome(await session.shake(within=_WITHIN))
            if not losing.lost:
                raise Untested("nothing was lost")
            return Observation(seen.outcome, f"{losing.lost} lost; {seen.detail}")

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
