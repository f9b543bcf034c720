"""For each row by a crafted hello, a server on which it fails, and only what depends on it."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from sfu.probe import greeting
from sfu.probe.crafter.odd import ODD
from sfu.probe.policy import STANDARD
from sfu.probe.row import Row
from sfu.probe.rows import crafted, odd_hellos, renegotiation, versions
from sfu.probe.run import Bounds, probe
from sfu.probe.targets import Seat
from sfu.probe.targets.livekit import LiveKitTarget
from tests.probe.weak.dtls13_node import Dtls13Node
from tests.probe.weak.hellos import HelloNode, Weakness
from tests.probe.weak.node import WeakNode
from tests.probe.weak.strength import Strength

ROWS: tuple[Row, ...] = (*crafted.ROWS, *odd_hellos.ROWS, *renegotiation.ROWS)
AT_ONCE = 18
SEATS = tuple(Seat(f"token {number}", "room", number) for number in range(AT_ONCE))
FRAGMENTED = {"hello-fragmented", "hello-reversed", "hello-overlapping"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is known a little sooner; what these servers say to an odd hello is awaited longer,
    since a test's machine has other things to do.
    """
    monkeypatch.setattr(greeting, "PATIENCE", 3.0)
    monkeypatch.setattr(odd_hellos, "_LISTENING", 1.0)


async def failing(node: WeakNode, rows: Sequence[Row] = ROWS) -> set[str]:
    target = LiveKitTarget(node.url, SEATS, ssl.create_default_context())
    report = await probe(target, STANDARD, rows, bounds=Bounds(rows_at_once=AT_ONCE))
    print([(row.id, row.got) for row in report.rows if row.result != "pass"])
    assert [row for row in report.rows if row.result == "untested"] == []
    return {row.id for row in report.rows if row.result == "fail"}


async def test_a_sound_server_passes_every_row() -> None:
    async with HelloNode.weakened(Weakness()) as node:
        assert await failing(node) == set()


WEAK = {
    "hello-fragmented": (Weakness(pieces="whole"), FRAGMENTED | {"hello-post-quantum"}),
    "hello-reversed": (Weakness(pieces="ordered"), {"hello-reversed"}),
    "hello-overlapping": (Weakness(pieces="disjoint"), {"hello-overlapping"}),
    "hello-disagreeing": (Weakness(believes_lengths=True), {"hello-disagreeing"}),
    "hello-post-quantum": (Weakness(largest=1200), {"hello-post-quantum"}),
    "srtp-mki": (Weakness(invents_mki=b"mine"), {"srtp-mki"}),
    "srtp-null": (Weakness(takes_null=True), {"srtp-null-alone", "srtp-null-beside"}),
}
FORGIVEN = tuple(name for name in ODD if name != "60-kilobytes")
DTLS_1_3 = {"version-dtls-1.3", "version-dtls-1.3-beside-1.2"}
COVERED = frozenset({"renegotiation", "odd-hello-60-kilobytes"} | DTLS_1_3).union(
    (f"odd-hello-{name}" for name in FORGIVEN), *(fails for _, fails in WEAK.values())
)
"""The rows that have their weak server here."""


@pytest.mark.parametrize("what", WEAK)
async def test_a_weak_server_fails_that_row_and_what_depends_on_it(what: str) -> None:
    weakness, expected = WEAK[what]
    async with HelloNode.weakened(weakness) as node:
        assert await failing(node) == expected


async def test_a_server_that_renegotiates_fails_its_row() -> None:
    async with HelloNode.weakened(Weakness(), Strength(renegotiates=True)) as node:
        assert await failing(node) == {"renegotiation"}


@pytest.mark.parametrize("name", FORGIVEN)
async def test_a_server_that_forgives_an_odd_hello_fails_its_row(name: str) -> None:
    async with HelloNode.weakened(Weakness(forgives=name)) as node:
        assert await failing(node, odd_hellos.ROWS) == {f"odd-hello-{name}"}


async def test_a_server_that_floods_at_an_odd_hello_fails_its_row() -> None:
    """One that would hold its flood back from an address unproven as yet floods only by chance."""
    unbounded = Strength(factor=1000.0)
    async with HelloNode.weakened(Weakness(floods_at="groups-lie"), unbounded) as node:
        assert await failing(node) == {"odd-hello-groups-lie"}


async def test_a_server_that_dies_of_a_large_hello_fails_its_row() -> None:
    """Run alone: nothing could be said of whatever came after it."""
    (row,) = (row for row in odd_hellos.ROWS if row.id == "odd-hello-60-kilobytes")
    async with HelloNode.weakened(Weakness(dies_of="60-kilobytes")) as node:
        assert await failing(node, (row,)) == {"odd-hello-60-kilobytes"}


@pytest.mark.timeout(900)  # where `make` has not compiled the crate yet, this does
async def test_a_server_with_dtls_1_3_fails_both_rows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crate's reading of fragments has two weaknesses of its own (in 0.7.6). Compiled without
    optimisation, it needs a while for each key.
    """
    monkeypatch.setattr(greeting, "PATIENCE", 6.0)
    own = {"hello-overlapping", "hello-disagreeing"}
    async with Dtls13Node.speaking(tmp_path) as node:
        assert await failing(node, (*versions.ROWS, *crafted.ROWS)) == own | DTLS_1_3
