"""A slice of `make soak`: the whole of it, for seconds."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.modules import done


def test_people_come_and_go_and_every_packet_is_accounted_for(tmp_path: Path) -> None:
    seen = tmp_path / "soak.json"
    load = ("--minutes", "0.25", "--load", "0.2")
    people = ("--rooms", "2", "--audience", "3", "--onlookers", "2")
    done("bench.soak", *load, *people, "--json", str(seen))
    soak = json.loads(seen.read_text())
    assert soak["faults"] == []
    assert soak["did"]["goes"] > 0
    assert soak["did"]["chooses a layer"] > 0
    assert soak["did"]["mutes or speaks again"] > 0
    assert soak["relay"]["rtp_out"] > 0
    assert set(soak["left"].values()) == {0}
