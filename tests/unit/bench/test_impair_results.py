"""The page's tables are made from results, and only between their markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.impair.cases import CASES, chosen
from bench.impair.results import BEGIN, END, Results
from bench.impair.seen import Seen, Step

SERIES = {"at": [1.0, 2.0], "fps": [30.0, 30.0], "height": [720.0, 180.0], "kbit": [1800.0, 250.0]}


def step(start: float, rate: float, **more: Any) -> Step:
    usual: dict[str, Any] = {
        "end": start + 1,
        "right_height": 180,
        "reached_after": 4.0,
        "used": 0.8,
        "longest_freeze": 0.4,
    }
    return Step(start=start, rate=rate, **(usual | more))


def entry(case: str, *steps: Step, **more: Any) -> dict[str, Any]:
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
    what = {"case": case, "says": case, "role": "subscriber", "survived": True, "machine_busy": 0.9}
    return what | found.written()


def results(*cases: dict[str, Any]) -> Results:
    machine = {"cores": 2, "processor": "some processor"}
    return Results("0123456789", "2026-01-02T03:04:05+00:00", machine, "1", list(cases))


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


def test_a_case_that_failed_is_told_and_not_left_out() -> None:
    failed = {"case": "loss-10", "says": "10 % lost", "role": "publisher", "failed": "TimeoutError"}
    assert "| 10 % lost | publisher | *TimeoutError* |" in results(failed).tables()


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page, picture = tmp_path / "quality.md", tmp_path / "cap.svg"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    made = results(entry("cap", step(0, 2e6), step(15, 3e5), step(35, 2e6)))
    made.page(page, picture)
    once = page.read_text()
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert "at commit `0123456789`" in once
    made.page(page, picture)
    assert page.read_text() == once
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "quality.md"
    page.write_text("typed by hand")
    with pytest.raises(ValueError, match="lost its markers"):
        results(entry("loss-10")).page(page, tmp_path / "cap.svg")
    assert page.read_text() == "typed by hand"


def test_results_are_the_same_after_json(tmp_path: Path) -> None:
    made = results(entry("loss-10", lost=0.12345678))
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
