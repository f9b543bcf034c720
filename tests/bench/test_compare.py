"""A slice of `make bench`: one scenario on our own server, for seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.machine import ROOT
from tests.faults.namespaces import host
from tests.patience import PATIENCE


def test_every_packet_reaches_everybody_and_is_found_whole(tmp_path: Path) -> None:
    with host("probe"):
        pass  # skips, or fails in CI, where there can be no namespaces
    seen = tmp_path / "bench.json"
    words = ["--scenarios", "voice", "--servers", "conclave", "--profiles", "gcm"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words, "--repeats", "2", "--json", str(seen)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(seen.read_text())
    assert told["failed"] == {}
    assert [one["feedback"] for one in told["loads"]] == [False, True]
    for one in told["loads"]:
        assert one["checked"] > 0
        assert (one["damaged"], one["duplicates"], one["loss"]) == (0, 0, 0)
        assert one["server_says"] == one["received"] > 0
    assert {verdict["met"] for verdict in told["verdicts"]} == {None}
    assert seen.with_suffix(".svg").read_text().startswith("<svg")
