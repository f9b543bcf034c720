"""For each row of the signalling port, a server on which it fails, and only what depends on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu.probe.lab import Lab
from sfu.probe.policy import STANDARD, STRICT, Policy
from sfu.probe.row import Result, Untested, judge
from sfu.probe.rows.signalling_tls import ROWS
from sfu.probe.sides import LocalSide
from sfu.probe.targets import Door, Exchange, Seat, Target
from tests.probe.weak.tls_port import TlsStrength, tls_port

CBC = "ECDHE-ECDSA-AES128-SHA"
STRONG = TlsStrength()


class NoMedia:
    """A target that is a signalling port and no more."""

    name = "a signalling port"
    seats: tuple[Seat, ...] = ()
    observes = False

    def __init__(self, door: Door) -> None:
        self.door = door

    async def open(self, seat: Seat, local: LocalSide) -> Exchange:
        raise AssertionError("no row of the signalling port asks for media")

    async def close(self) -> None: ...


async def found(strength: TlsStrength, policy: Policy = STANDARD) -> dict[str, Result]:
    """Each row's result."""
    results = {}
    async with tls_port(strength) as door:
        target: Target = NoMedia(door)
        for row in ROWS:
            try:
                seen = await row.run(Lab(policy, target, ()))
            except Untested as why:
                results[row.id] = judge(row, policy, why).result
            else:
                results[row.id] = judge(row, policy, seen).result
    return results


async def failing(strength: TlsStrength, policy: Policy = STANDARD) -> set[str]:
    results = await found(strength, policy)
    return {name for name, result in results.items() if result != "pass"}


async def test_a_sound_port_passes_every_row() -> None:
    assert await failing(STRONG) == set()


async def test_a_sound_port_of_the_strict_policy_passes_every_row() -> None:
    assert await failing(replace(STRONG, versions=("TLSv1.3",)), STRICT) == set()


WEAK = {
    # A suite of 1.0 is one of 1.2 as well.
    "TLS 1.0": (
        TlsStrength(versions=("TLSv1.0", *STRONG.versions), suites=f"{STRONG.suites}:{CBC}"),
        {"tls-1.0", "tls-1.2-suites"},
    ),
    "TLS 1.1": (
        TlsStrength(versions=("TLSv1.1", *STRONG.versions), suites=f"{STRONG.suites}:{CBC}"),
        {"tls-1.1", "tls-1.2-suites"},
    ),
    "no TLS 1.2": (TlsStrength(versions=("TLSv1.3",)), {"tls-1.2"}),
    "no TLS 1.3": (TlsStrength(versions=("TLSv1.2",)), {"tls-1.3"}),
    "a CBC suite": (TlsStrength(suites=f"{STRONG.suites}:{CBC}"), {"tls-1.2-suites"}),
    "a suite without a key exchange of its own": (
        TlsStrength(key="rsa-2048", suites="ECDHE-RSA-AES256-GCM-SHA384:AES128-GCM-SHA256"),
        {"tls-1.2-suites"},
    ),
    "CCM with a short tag in TLS 1.3": (
        TlsStrength(suites_1_3=f"{STRONG.suites_1_3}:TLS_AES_128_CCM_8_SHA256"),
        {"tls-1.3-suites"},
    ),
    # OpenSSL of the client's side finds so short a key wanting in the chain too.
    "an RSA key of 1024 bits": (TlsStrength(key="rsa-1024"), {"tls-key", "tls-chain"}),
    "a curve that the policy does not name": (TlsStrength(key="ecdsa-p521"), {"tls-key"}),
    "a certificate of its own making": (TlsStrength(issued=False), {"tls-chain"}),
    # Its names cannot be looked at then: untested, not failed.
    "an expired certificate": (TlsStrength(expired=True), {"tls-chain", "tls-names"}),
    "another's name": (TlsStrength(host="127.0.0.9"), {"tls-names"}),
    "no HSTS": (TlsStrength(hsts=False), {"tls-hsts"}),
    "plain HTTP": (TlsStrength(plain_http=True), {"tls-plain-http"}),
    "renegotiation": (TlsStrength(renegotiates=True), {"tls-renegotiation"}),
    "compression": (TlsStrength(compresses=True), {"tls-compression"}),
}
COVERED = frozenset[str]().union(*(fails for _, fails in WEAK.values()))
"""The rows that have their weak server here."""


@pytest.mark.parametrize("what", WEAK)
async def test_a_weak_port_fails_that_row_and_what_depends_on_it(what: str) -> None:
    strength, expected = WEAK[what]
    assert await failing(strength) == expected


async def test_tls_1_2_is_too_weak_for_the_strict_policy() -> None:
    assert await failing(STRONG, STRICT) == {"tls-1.2", "tls-1.2-suites"}


async def test_names_of_an_expired_certificate_are_untested() -> None:
    results = await found(TlsStrength(expired=True))
    assert results["tls-names"] == "untested"


async def test_a_target_without_tls_leaves_every_row_untested() -> None:
    target: Target = NoMedia(Door("127.0.0.1", 9, None))
    for row in ROWS:
        with pytest.raises(Untested):
            await row.run(Lab(STANDARD, target, ()))
