"""docs/conformance.md explains every row, and holds results that were generated."""

from __future__ import annotations

import re

from sfu.probe.rows import ROWS
from tests.probe.conformance_page import BEGIN, END, PAGE, rendered


def test_every_row_is_explained() -> None:
    explained = re.findall(r"`([a-z0-9.…-]+)`", PAGE.read_text().split(BEGIN)[0])
    families = tuple(name.removesuffix("…") for name in explained if name.endswith("…"))
    unexplained = {row.id for row in ROWS} - set(explained)
    assert {row for row in unexplained if not row.startswith(families)} == set()


def test_nothing_is_explained_that_is_no_row() -> None:
    table = PAGE.read_text().split("## The rows")[1].split("## Our own results")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    explained = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    ids = {row.id for row in ROWS}
    for name in explained:
        beginning = name.removesuffix("…")
        assert any(row.startswith(beginning) if name != beginning else row == name for row in ids)


def test_the_results_are_of_the_rows_there_are() -> None:
    results = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    shown = set(re.findall(r"^\| `([a-z0-9_.-]+)` \|", results, re.MULTILINE))
    assert {row.id for row in ROWS if not row.id.startswith("suite-")} == {
        row for row in shown if not row.startswith("suite-")
    }


def test_a_failing_row_is_shown_as_such() -> None:
    row = {
        "id": "suite-one",
        "tried": "ONE alone",
        "expected": "refused",
        "got": "accepted",
        "result": "fail",
        "clause": "a clause",
    }
    other = row | {"id": "suite-two", "tried": "TWO alone", "got": "refused", "result": "pass"}
    text = rendered([{"policy": "mine", "rows": [row, other]}], "abc")
    assert "| `suite-one` | ONE alone | fail: accepted | a clause |" in text
    assert "1 suites, each alone, refused under every policy: TWO." in text
    assert "- mine: 1 pass, 1 fail, 0 untested." in text
