"""What is planned: equal rates, shared people, and a whole run that fits its time."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from bench.parts import parts
from bench.scenarios import ALL, FULL, OUT, QUICK, QUICK_SCENARIOS, parse, scenarios

MINUTES = 60.0


def test_every_scenario_brings_out_the_same_rate_voices_apart() -> None:
    rates = {one.name: one.out_rate for one in ALL}
    assert rates.pop("voice") == 19_000
    del rates["load-voice"]  # its rate is where the search for half of a core begins
    assert list(rates.values()) == pytest.approx([OUT] * len(rates))


def test_scenarios_survive_their_way_to_the_generator_and_back() -> None:
    for one in ALL:
        assert parse(json.loads(json.dumps(asdict(one)))) == one


def test_a_wrong_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="video-even"):
        scenarios(["video-odd"])


def test_scenarios_with_the_same_people_are_played_in_one_part() -> None:
    planned = parts(scenarios(["video-frames", "video-even", "voice"]), ["gcm"], [False])
    names = [[one.name for one in part.scenarios] for part in planned]
    assert names == [["video-even", "video-frames"], ["voice"]]


def test_people_are_shared_only_on_the_same_servers() -> None:
    named = ["video-even", "workers-pipe", "workers-pipe-frames", "listeners-10"]
    planned = parts(scenarios(named), ["gcm", "cm"], [False])
    assert [(part.profile, part.servers) for part in planned] == [
        ("gcm", ()),
        ("cm", ()),
        ("gcm", ("conclave",)),
        ("gcm", ("conclave", "conclave-pipe")),
    ]


def test_the_whole_and_the_quick_run_are_planned_to_fit_their_time() -> None:
    whole = parts(ALL, ["gcm", "cm"], [False, True])
    assert len(whole) == 16 + 3 + 2 + 2
    assert sum(part.seconds(FULL, servers=3) for part in whole) < 22 * MINUTES
    quick = parts(scenarios(QUICK_SCENARIOS), ["gcm"], [False])
    assert sum(part.seconds(QUICK, servers=3) for part in quick) < 1.5 * MINUTES


def test_only_one_part_looks_at_people_who_are_silent() -> None:
    whole = parts(ALL, ["gcm", "cm"], [False, True])
    silent = [part.names for part in whole if part.plan(FULL).silence]
    assert silent == ["calls · gcm · plain"]
