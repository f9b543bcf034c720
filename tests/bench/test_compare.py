"""Slices of `make bench`: scenarios on our own server, for seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench.modules import done
from tests.faults.namespaces import host


def test_every_packet_reaches_everybody_and_is_found_whole(tmp_path: Path) -> None:
    told = bench(tmp_path, "voice", repeats=2)
    assert [one["feedback"] for one in told["loads"]] == [False, True]
    for one in told["loads"]:
        assert one["checked"] > 0
        assert (one["damaged"], one["duplicates"], one["loss"]) == (0, 0, 0)
        assert one["server_says"] == one["received"] > 0
    assert {verdict["met"] for verdict in told["verdicts"]} == {None}


def test_half_of_a_room_beyond_a_pipe_gets_every_packet_too(tmp_path: Path) -> None:
    told = bench(tmp_path, "workers-pipe", repeats=1)
    one, two = told["loads"]
    assert (one["server"], two["server"]) == ("conclave", "conclave-pipe")
    assert (one["lost"], two["lost"]) == (0, 0)
    whole, halves = (sorted(ports.values()) for ports in told["places"].values())
    assert (whole, halves) == ([51], [25, 26])
    crossed = two["server_says"] - two["received"]
    assert crossed == pytest.approx(two["received"] / 50, rel=0.1)
    (bound,) = told["bounds"]
    assert bound["value"] > 0


def bench(folder: Path, scenario: str, repeats: int) -> Any:
    """What `python -m bench` writes of our own server in this scenario, beside a chart."""
    with host("probe"):
        pass  # skips, or fails in CI, where there can be no namespaces
    seen = folder / "bench.json"
    what = ("--scenarios", scenario, "--servers", "conclave", "--profiles", "gcm")
    done("bench", *what, "--repeats", str(repeats), "--json", str(seen))
    told = json.loads(seen.read_text())
    assert told["failed"] == {}
    assert seen.with_suffix(".svg").read_text().startswith("<svg")
    return told
