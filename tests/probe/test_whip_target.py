"""WHIP and WHEP as ways in."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import pytest

from sfu.probe.policy import STANDARD
from sfu.probe.rows import ROWS
from sfu.probe.run import Report, probe
from sfu.probe.targets import Seat
from sfu.probe.targets.whip import WhipTarget
from tests.probe.weak.strength import Strength
from tests.probe.weak.whip import WhipNode

TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
SEATS = tuple(Seat("let-me-in", "", number) for number in range(6))
WANTED = ("honest-client", "fingerprint-", "media-honest", "media-replay", "address-claimed")


async def _probed(
    node: WhipNode, *doors: str, seats: Sequence[Seat] = SEATS, wanted: tuple[str, ...] = WANTED
) -> Report:
    address, beside = (f"{door}+{node.web}/{door}" if door else "" for door in (*doors, "")[:2])
    target = WhipTarget(address, seats, TRUST, beside=beside)
    return await probe(target, STANDARD, [row for row in ROWS if row.id.startswith(wanted)])


async def test_with_both_doors_what_is_sent_to_one_is_heard_at_the_other() -> None:
    async with WhipNode.doors(Strength()) as node:
        report = await _probed(node, "whip", "whep")
        assert {row.result for row in report.rows} == {"pass"}
        assert node.sessions == {}, "every session was ended by DELETE"


async def test_a_weakness_is_found_through_these_doors_too() -> None:
    async with WhipNode.doors(Strength(replay=True, fingerprints="none")) as node:
        report = await _probed(node, "whep", "whip")
        assert {row.id for row in report.rows if row.result == "fail"} == {
            "fingerprint-wrong",
            "fingerprint-several-one-wrong",
            "media-replay",
        }


@pytest.mark.parametrize("door", ["whip", "whep"])
async def test_with_one_door_nobody_listens_and_the_rest_is_tested(door: str) -> None:
    async with WhipNode.doors(Strength()) as node:
        report = await _probed(node, door)
        results = {row.id: row.result for row in report.rows}
        assert {name for name, result in results.items() if result == "untested"} == {
            "media-honest",
            "media-replay",
        }
        assert report.count("fail") == 0
        assert report.exit_code == 0


async def test_a_wrong_token_gets_nowhere() -> None:
    async with WhipNode.doors(Strength()) as node:
        report = await _probed(node, "whip", seats=[Seat("wrong", "", 0)], wanted=("version-",))
        assert report.rows[0].got == "signalling failed: HTTP 401"
        assert report.exit_code == 2


@pytest.mark.parametrize("address", ["whip+ftp://host/", "whip+https:///path", "https://host/"])
def test_what_is_no_such_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not whip"):
        WhipTarget(address, SEATS, TRUST)
