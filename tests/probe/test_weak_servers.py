"""The probe finds each weakness: its row fails, and only what depends on it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence, Set

import pytest

from sfu.probe import policy
from sfu.probe.row import Row
from sfu.probe.rows import ROWS as ALL_ROWS
from sfu.probe.run import Bounds, Report, probe
from sfu.probe.suites import SUITES, Suite
from sfu.probe.targets import Seat
from sfu.probe.targets.livekit import LiveKitTarget
from tests.probe.cases import ALONE, CASES, NOBODY, SENTINELS, Case
from tests.probe.test_weak_hellos import COVERED as BY_HELLOS
from tests.probe.test_weak_tls import COVERED as BY_PORTS
from tests.probe.weak.node import WeakNode
from tests.probe.weak.strength import ECDSA_SUITES, SIGNATURES, Strength

AT_ONCE = 16
EVERYTHING = os.environ.get("CONCLAVE_WEAK") == "all"
SUITE_SENTINELS = tuple(row for row in SENTINELS if row.startswith("suite-"))
SEATS = tuple(Seat("a token", str(number // 2), number) for number in range(2 * AT_ONCE))
TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used: these servers have no TLS
POLICY = policy.STANDARD
# The others have weak servers of another kind, in the two modules that say so.
ROWS = [row for row in ALL_ROWS if row.id not in BY_HELLOS | BY_PORTS]


async def _probed(
    strength: Strength,
    rows: Sequence[Row],
    fails: Set[str],
    untested: Set[str] | None = None,
) -> Report:
    """What the probe says of the server: the first of three reports with these rows failed and
    these untested, or the third. Whoever does not answer in time has refused, for a probe, and a
    busy machine lets both ends wait.
    """
    for _ in range(3):
        async with WeakNode.running(strength) as node:
            target = LiveKitTarget(node.url, SEATS, TRUST, name="weak")
            report = await probe(target, POLICY, rows, bounds=Bounds(rows_at_once=AT_ONCE))
        right = _failed(report) == fails
        if right and untested in (None, set(_untested(report))):
            break
    return report


def _failed(report: Report) -> set[str]:
    return {row.id for row in report.rows if row.result == "fail"}


def _untested(report: Report) -> dict[str, str]:
    return {row.id: row.got for row in report.rows if row.result == "untested"}


def _rows(case: Case) -> list[Row]:
    """The case's own rows, all others of their kind, and one of every other kind. With
    CONCLAVE_WEAK=all in the environment, every row but the suites.
    """
    kinds = {row.partition("-")[0] for row in case.fails} - {"suite"}
    return [
        row
        for row in ROWS
        if row.id in SENTINELS
        or row.id in case.fails
        or row.id.partition("-")[0] in kinds
        or (EVERYTHING and not row.id.startswith("suite-"))
    ]


async def test_a_strong_server_passes_every_row() -> None:
    report = await _probed(Strength(), ROWS, fails=frozenset(), untested=frozenset())
    assert _failed(report) == set()
    assert _untested(report) == {}
    assert report.exit_code == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_weakness_fails_its_row_and_only_what_depends_on_it(case: Case) -> None:
    report = await _probed(Strength(**case.weakness), _rows(case), case.fails, case.untested)
    assert _failed(report) == case.fails
    assert set(_untested(report)) == case.untested
    assert report.exit_code == 1


@pytest.mark.parametrize("case", ALONE, ids=lambda case: case.name)
async def test_a_weakness_that_much_depends_on_fails_its_row(case: Case) -> None:
    rows = [row for row in ROWS if row.id in case.fails]
    report = await _probed(Strength(**case.weakness), rows, case.fails)
    assert _failed(report) == case.fails
    assert report.exit_code == 1


async def test_where_an_honest_client_does_not_get_in_nothing_is_tested() -> None:
    report = await _probed(Strength(**NOBODY.weakness), ROWS, NOBODY.fails)
    assert _failed(report) == NOBODY.fails
    assert len(_untested(report)) == len(ROWS) - 1
    assert report.exit_code == 2


WRONG = [suite for suite in SUITES if suite.iana not in POLICY.suites]


@pytest.mark.timeout(400)  # 147 servers
async def test_each_suite_alone_is_found_where_it_is_on_and_no_other() -> None:
    at_once = asyncio.Semaphore(8)

    async def failed(suite: Suite) -> set[str]:
        own = f"suite-{suite.iana.removeprefix('TLS_').lower()}"
        async with at_once:
            rows = [row for row in ROWS if row.id in (own, *SUITE_SENTINELS)]
            return _failed(await _probed(_with_suite(suite), rows, {own})) ^ {own}

    mistakes = await asyncio.gather(*(failed(suite) for suite in WRONG))
    assert {suite.iana: m for suite, m in zip(WRONG, mistakes, strict=True) if m} == {}


def _with_suite(suite: Suite) -> Strength:
    """The strong server with that suite on, and what the suite needs."""
    keys = ["ecdsa-p256"]
    if "_DSS_" in suite.iana:
        keys.append("dsa")
    elif "_ECDSA_" not in suite.iana and "_anon_" not in suite.iana:
        keys.append("rsa-2048")
    without_certificates = "_anon_" in suite.iana or "_PSK_" in suite.iana
    return Strength(
        suites=f"{ECDSA_SUITES}:{suite.openssl}",
        keys=tuple(keys),
        signatures=f"{SIGNATURES}:DSA+SHA256",
        certificate=not without_certificates,
    )


def test_every_row_has_its_weak_server() -> None:
    found = {row for case in (*CASES, *ALONE, NOBODY) for row in case.fails}
    found |= {f"suite-{suite.iana.removeprefix('TLS_').lower()}" for suite in WRONG}
    assert {row.id for row in ALL_ROWS} == found | BY_HELLOS | BY_PORTS


def test_no_two_rows_share_an_id() -> None:
    assert len({row.id for row in ALL_ROWS}) == len(ALL_ROWS)
