"""`conclave probe self`, as a user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sfu.probe.rows import ROWS
from tests.node import ROOT

WITHIN = 300.0  # seconds; the promise of 45 is for a machine with nothing else to do

pytestmark = pytest.mark.timeout(WITHIN + 30)


async def _conclave(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of the command."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CONCLAVE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signaling", *arguments),
        env=clean | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), WITHIN)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("policy", ["standard", "strict"])
async def test_our_own_node_passes_every_row_under_both_policies(
    policy: str, tmp_path: Path
) -> None:
    junit = tmp_path / "junit.xml"
    code, out, err = await _conclave(
        "probe", "self", "--policy", policy, "--json", "-", "--junit", str(junit)
    )
    report = json.loads(out)
    assert set(report) == {"target", "policy", "rows"}
    assert (report["target"], report["policy"]) == ("self", policy)
    assert [row["id"] for row in report["rows"]] == [row.id for row in ROWS]
    assert {tuple(row) for row in report["rows"]} == {
        ("id", "tried", "expected", "got", "result", "clause")
    }
    assert [row for row in report["rows"] if row["result"] != "pass"] == []
    assert (code, err) == (0, "")
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(len(ROWS)), "0")
    assert [case.get("name") for case in suite] == [row.id for row in ROWS]


async def test_a_policy_that_the_node_does_not_meet_is_fallen_short_of(tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text('suites = ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]\n')
    only = "suite-ecdhe_ecdsa_with_chacha20_poly1305_sha256"
    code, out, _ = await _conclave("probe", "self", "--policy", str(policy), "--row", only)
    assert code == 1
    assert "policy mine: 1 pass, 1 fail, 0 untested of 2 rows." in out
    assert "must: accepted" in out
    assert "got: refused: alert handshake_failure" in out


UNUSABLE = {
    "a server that is not there": (
        ["livekit+ws://127.0.0.1:9", "--token", "t", "--row", "version"],
        "0 pass, 0 fail, 5 untested",
    ),
    "no token": (["livekit+wss://127.0.0.1:9"], "A token is needed"),
    "another scheme": (["https://127.0.0.1:9", "--token", "t"], "neither livekit+wss://"),
    "a policy that is none": (["self", "--policy", "lax"], "neither a policy"),
    "rows that are none": (["self", "--row", "nothing"], "No row's id begins with nothing."),
}


@pytest.mark.parametrize("what", UNUSABLE)
async def test_what_cannot_be_tested_exits_with_2_and_says_why(what: str) -> None:
    arguments, sentence = UNUSABLE[what]
    code, out, err = await _conclave("probe", *arguments)
    assert code == 2
    assert sentence in out + err
    assert "Traceback" not in err


async def test_a_token_may_come_by_the_environment() -> None:
    code, out, _ = await _conclave(
        *("probe", "livekit+ws://127.0.0.1:9", "--row", "version"), CONCLAVE_PROBE_TOKEN="a b"
    )
    assert (code, "signalling failed" in out) == (2, True)
