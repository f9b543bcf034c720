"""The page's tables are made from results, and only between their markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.impair.bystander import Bystander, Phase
from bench.impair.cases import CASES, VERSUS, chosen
from bench.impair.results import BEGIN, END, Results
from bench.impair.screen import Leaf, Shared
from bench.impair.seen import Seen, Step

SERIES = {"at": [1.0, 2.0], "fps": [30.0, 30.0], "height": [720.0, 180.0], "kbit": [1800.0, 250.0]}


def step(start: float, rate: float, **more: Any) -> Step:
    usual: dict[str, Any] = {
        "end": start + 1,
        "right": "smallest",
        "right_height": 180,
        "reached_after": 4.0,
        "used": 0.8,
        "longest_freeze": 0.4,
    }
    return Step(start=start, rate=rate, **(usual | more))


def cap(**down: Any) -> tuple[Step, ...]:
    return step(0, 2e6), step(15, 3e5, **down), step(35, 2e6, right="largest", right_height=720)


def entry(case: str, *steps: Step, server: str = "conclave", **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "seconds": 20.0,
        "fps": 28.0,
        "freezes": 2,
        "frozen": 1.5,
        "longest_freeze": 0.9,
        "concealed": 0.03,
        "height": 720,
        "layer_changes": 1,
        "kbit": 1500.0,
        "lost": 0.1,
        "cpu_limited": 0.0,
    }
    found = Seen(**(usual | more), steps=steps, series=SERIES)
    what = {"server": server, "case": case, "says": case, "role": "subscriber"}
    told = {"survived": True, "machine_busy": 0.9, "sound": "red"}
    return what | told | found.written()


def failed(case: str, server: str = "conclave") -> dict[str, Any]:
    what = {"server": server, "case": case, "says": case, "role": "subscriber"}
    return what | {"failed": "TimeoutError"}


def results(*cases: dict[str, Any], janus: str = "Janus 1.1.2", **more: Any) -> Results:
    machine = {"cores": 2, "processor": "some processor"}
    versions = {"browser": "Chromium 1", "janus": janus}
    date = "2026-01-02T03:04:05+00:00"
    return Results("0123456789", date, machine, "1", versions, list(cases), **more)


def share(*read_after: float | None, server: str = "conclave") -> dict[str, Any]:
    leaves = tuple(Leaf(each, 0.9996, 360) for each in read_after)
    seen = Shared(rate=3e5, leaves=leaves, concealed=0.01, kbit=250.0, lost=0.02, sound="red")
    return {"server": server, "seen": seen.written()}


def phase(bad: bool, **more: Any) -> Phase:
    usual: dict[str, Any] = {
        "fps": 25.0,
        "height": 720,
        "kbit": 1700.0,
        "freezes": 0,
        "frozen": 0.0,
        "concealed": 0.0,
        "other_fps": 20.0,
        "other_height": 360,
        "other_lost": 0.05,
    }
    return Phase(bad=bad, **(usual | more))


def test_a_bar_that_is_met_and_one_that_is_not() -> None:
    good, bad = entry("loss-10", concealed=0.049), entry("loss-10", concealed=0.05)
    says = "| concealed sound at 10 % loss under 5 % | subscriber |"
    assert f"{says} 4.9 % | yes |" in results(good).tables()
    assert f"{says} 5.0 % | **no** |" in results(bad).tables()


def test_a_cap_is_judged_on_the_way_down_on_the_way_up_and_by_its_use() -> None:
    steps = (
        step(0, 2e6),
        step(15, 3e5, reached_after=None, longest_freeze=7.5),
        step(35, 2e6, reached_after=14.9, right_height=720, used=0.5),
    )
    tables = results(entry("cap", *steps)).tables()
    assert "within 5 s of the cap falling | subscriber | never | **no** |" in tables
    assert "within 15 s of the cap rising | subscriber | 14.9 s | yes |" in tables
    assert "no freeze over 1 s on the way down | subscriber | 7.5 s | **no** |" in tables
    assert "in the steady state | subscriber | 80 %, 80 %, 50 % | **no** |" in tables


def test_both_servers_stand_in_one_row_and_one_bar() -> None:
    ours, theirs = entry("loss-10", fps=28.0), entry("loss-10", server="janus", fps=9.0)
    tables = results(ours, {**theirs, "sound": "opus"}).tables()
    assert "| 10 % lost | subscriber | 10.0 / 10.0 | 28.0 / 9.0 |" in tables
    assert "| subscriber | 3.0 % | yes | 3.0 % | yes |" in tables
    assert "Sound went as red over ours, as opus over Janus" in tables


def test_a_server_that_was_not_there_is_not_measured_and_said_so() -> None:
    tables = results(entry("loss-10"), janus="missing").tables()
    assert "Janus was not measured" in tables
    assert "| 10 % lost; *Janus: not measured* | subscriber | 10.0 | 28.0 |" in tables
    assert "| subscriber | 3.0 % | yes | not measured |  |" in tables


def test_a_case_that_failed_is_told_and_not_left_out() -> None:
    tables = results(failed("loss-10"), entry("loss-10", server="janus")).tables()
    assert "| 10 % lost; *TimeoutError* | subscriber | - / 10.0 |" in tables
    played_again = results(failed("loss-10"), entry("loss-10")).tables()
    assert "TimeoutError" not in played_again


def test_a_shared_screen_is_read_page_by_page() -> None:
    tables = results(shares=[share(3.2, 2.5, 4.0)]).tables()
    says = "a shared page read whole, at 300 kbit/s beside voice"
    assert f"| {says} | subscriber | 3.2 s | yes | not measured |  |" in tables
    assert "| every turn of the page read whole | subscriber | 2.5 s, 4.0 s | yes |" in tables
    assert "| conclave | 3.2 s | 2.5 s | 4.0 s | 360 | 1.0 | 2.0 | 250 |" in tables


def test_one_page_that_was_never_whole_is_not_rounded_to_whole() -> None:
    tables = results(shares=[share(3.2, None)]).tables()
    assert "read whole | subscriber | never (99.9 % at best) | **no** |" in tables


def test_a_bad_subscriber_changes_nothing_where_phases_are_as_alike_as_clean_ones() -> None:
    clean = (phase(False, fps=24.0), phase(False, fps=26.0))
    assert Bystander((*clean, phase(True, fps=23.0))).worse() == ()
    assert Bystander((*clean, phase(True, fps=21.0))).worse() == ("fps",)
    assert Bystander((*clean, phase(True, freezes=1))).worse() == ("freezes",)
    assert Bystander((*clean, phase(True, height=360, kbit=500))).worse() == ("height", "kbit")
    assert Bystander((*clean, phase(True), phase(True, concealed=0.1))).worse() == ("concealed",)
    one = {"server": "conclave", "seen": Bystander((*clean, phase(True, kbit=900))).written()}
    tables = results(bystanders=[one]).tables()
    assert "changes nothing for the other | the other | worse: kbit | **no** |" in tables


def test_a_clean_subscriber_who_is_better_off_is_not_worse_off() -> None:
    clean = (phase(False, freezes=2), phase(False, freezes=2))
    assert Bystander((*clean, phase(True, fps=30.0, kbit=2500.0, freezes=0))).worse() == ()


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page, picture = tmp_path / "quality.md", tmp_path / "cap-{role}.svg"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    made = results(entry("cap", *cap()), entry("cap", *cap(), server="janus"))
    made.page(page, picture)
    once = page.read_text()
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert "at commit `0123456789`" in once
    made.page(page, picture)
    assert page.read_text() == once
    drawn = tmp_path / "cap-subscriber.svg"
    assert ElementTree.parse(drawn).getroot().tag.endswith("svg")
    assert "Conclave, the subscriber behind the cap" in drawn.read_text()
    assert "Janus, the subscriber behind the cap" in drawn.read_text()


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "quality.md"
    page.write_text("typed by hand")
    with pytest.raises(ValueError, match="lost its markers"):
        results(entry("loss-10")).page(page, tmp_path / "cap-{role}.svg")
    assert page.read_text() == "typed by hand"


def test_results_are_the_same_after_json(tmp_path: Path) -> None:
    one = {"server": "conclave", "seen": Bystander((phase(False), phase(True))).written()}
    cases = entry("loss-10", lost=0.12345678), entry("cap", *cap())
    made = results(*cases, shares=[share(1.0, None)], bystanders=[one])
    made.write(tmp_path / "made.json")
    read = Results.load(tmp_path / "made.json")
    assert read.tables() == made.tables()
    assert read.cases[0]["lost"] == 0.1235


def test_cases_are_chosen_by_name_and_last_a_minute_at_most() -> None:
    assert [case.name for case in chosen("loss-5, cap")] == ["loss-5", "cap"]
    assert chosen("") == CASES
    with pytest.raises(KeyError):
        chosen("loss-6")
    assert max(case.seconds for case in CASES) <= 60
    assert {name for name, _ in VERSUS} <= {case.name for case in CASES}
