"""Key exchange groups, each beside P-256, as the ServerKeyExchange has them.

In DTLS 1.2 the client's list limits the server's certificate too (RFC 8422 section 5.1), so a group
can never be offered quite alone to a server with a key on P-256.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.client import Hello
from sfu.probe.lab import Lab, agreed
from sfu.probe.policy import Policy
from sfu.probe.row import Expected, Observation, Row

_BESIDE: Final = "P-256"
# Names as the policy has them, and as OpenSSL does.
_GROUPS: Final = {
    "X25519": "X25519",
    "P-384": "P-384",
    "P-521": "P-521",
    "X448": "X448",
    "brainpoolP256r1": "brainpoolP256r1",
    "brainpoolP384r1": "brainpoolP384r1",
    "brainpoolP512r1": "brainpoolP512r1",
}


def _beside(openssl: str) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            handshake = await session.shake(Hello(groups=f"{openssl}:{_BESIDE}"))
            return agreed(handshake, handshake.group)

    return run


def _first_of(*offered: str) -> Callable[[Policy], Expected]:
    """The one of those offered that the policy prefers."""

    def expected(policy: Policy) -> Expected:
        wanted = next((group for group in policy.groups if group in offered), "refused")
        return Expected.one(wanted)

    return expected


async def _order(lab: Lab) -> Observation:
    async with lab.session() as session:
        handshake = await session.shake(Hello(groups=":".join(reversed(lab.policy.groups))))
        return agreed(handshake, handshake.group)


ROWS: Final = (
    *(
        Row(
            id=f"group-{name.lower()}",
            tried=f"{name} first, {_BESIDE} second",
            clause="RFC 8422 section 5.1; policy, groups",
            expected=_first_of(name, _BESIDE),
            run=_beside(openssl),
        )
        for name, openssl in _GROUPS.items()
    ),
    Row(
        id="group-order",
        tried="the policy's groups in the opposite order",
        clause="policy, groups",
        expected=lambda policy: Expected.one(policy.groups[0]),
        run=_order,
    ),
)
