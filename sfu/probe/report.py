"""A report for people, for programs, and for a CI server."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final
from xml.etree import ElementTree

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sfu.probe.row import Verdict
from sfu.probe.run import Report

_COLOURS: Final = {"pass": "green", "fail": "bold red", "untested": "yellow"}


def as_json(report: Report) -> str:
    """`{"target", "policy", "rows": [{"id", "tried", "expected", "got", "result", "clause"}]}`."""
    rows = [asdict(row) for row in report.rows]
    body = {"target": report.target, "policy": report.policy, "rows": rows}
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def as_junit(report: Report) -> str:
    """One test case for each row; what is untested is skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"conclave probe {_printable(report.target)}, policy {_printable(report.policy)}",
        tests=str(len(report.rows)),
        failures=str(report.count("fail")),
        skipped=str(report.count("untested")),
        errors="0",
    )
    for row in report.rows:
        case = ElementTree.SubElement(suite, "testcase", classname="probe", name=row.id)
        if row.result == "fail":
            failure = ElementTree.SubElement(case, "failure", message=_printable(row.got))
            failure.text = _printable(
                f"{row.tried}\nmust: {row.expected}\ngot: {row.got}\n{row.clause}"
            )
        elif row.result == "untested":
            ElementTree.SubElement(case, "skipped", message=_printable(row.got))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def as_table(report: Report) -> Table:
    """Every row, but one line for all those suites that had to be refused and were."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("tried", ratio=1)
    table.add_column("must, got, and why", ratio=1)
    folded = [row for row in report.rows if _is_refused_suite(row)]
    for row in report.rows:
        if not _is_refused_suite(row):
            tried = Text(f"{row.id}\n").append(row.tried, style="dim")
            seen = Text(_printable(f"must: {row.expected}\ngot: {row.got}\n"))
            seen.append(row.clause, style="dim")
            table.add_row(Text(row.result, style=_COLOURS[row.result]), tried, seen)
        elif row is folded[0]:
            tried = Text("suite-…\n").append(f"{len(folded)} suites, each alone", style="dim")
            seen = Text("must: refused\ngot: refused\n").append(row.clause, style="dim")
            table.add_row(Text("pass", style=_COLOURS["pass"]), tried, seen)
    return table


def summary(report: Report) -> str:
    """One line."""
    counts = ", ".join(f"{report.count(each)} {each}" for each in _COLOURS)
    return f"{report.target}, policy {report.policy}: {counts} of {len(report.rows)} rows."


class Terminal:
    """Progress while rows run, on a terminal; silent elsewhere."""

    def __init__(self, console: Console, rows: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns,
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("probing", total=rows)

    def __enter__(self) -> Terminal:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def row(self, verdict: Verdict) -> None:
        """One more is over; what fails is said at once."""
        self._progress.advance(self._task)
        self._progress.update(self._task, description=verdict.id)
        if verdict.result == "fail" and not self._progress.disable:
            line = f"{verdict.id}: must {verdict.expected}, got {_printable(verdict.got)}"
            self._progress.console.print(Text(line, style=_COLOURS["fail"]))


def _is_refused_suite(row: Verdict) -> bool:
    return row.id.startswith("suite-") and row.result == "pass" and row.expected == "refused"


def _printable(text: str) -> str:
    """Without control characters: much of it was said by the target."""
    return "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text)
