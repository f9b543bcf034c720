"""DTLS versions that OpenSSL can offer; 1.3 comes from the record crafter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.client import DTLS_1_0, DTLS_1_2, Hello
from sfu.probe.lab import Lab, outcome
from sfu.probe.row import Observation, Row, accepted_if

_CBC_SHA: Final = "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"  # the version before 1.2 has no AEAD


def _only(hello: Hello) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            return outcome(await session.shake(hello))

    return run


ROWS: Final = (
    Row(
        id="version-dtls-1.0",
        tried="DTLS 1.0 and nothing newer",
        clause="RFC 8996 section 5; RFC 8827 section 6.5",
        expected=accepted_if(lambda policy: "DTLS 1.0" in policy.versions),
        run=_only(Hello(version=DTLS_1_0, suites=(_CBC_SHA,))),
    ),
    Row(
        id="version-dtls-1.2",
        tried="DTLS 1.2 and nothing newer",
        clause="RFC 8827 section 6.5",
        expected=accepted_if(lambda policy: "DTLS 1.2" in policy.versions),
        run=_only(Hello(version=DTLS_1_2)),
    ),
)
