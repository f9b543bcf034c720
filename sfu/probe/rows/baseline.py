"""An honest client gets in. Where it does not, refusals prove nothing and the probe stops."""

from __future__ import annotations

from typing import Final

from sfu.probe.client import DTLS_1_0, Hello
from sfu.probe.lab import Lab, outcome
from sfu.probe.row import ACCEPTED, Observation, Row, must


async def _honest(lab: Lab) -> Observation:
    async with lab.session() as session:
        return outcome(await session.shake(Hello(oldest=DTLS_1_0)))


HONEST: Final = Row(
    id="honest-client",
    tried="an honest client: up to DTLS 1.2, ECDSA P-256, everything the policy wants",
    clause="RFC 8827 section 6.5",
    expected=must(ACCEPTED),
    run=_honest,
)
ROWS: Final = (HONEST,)
