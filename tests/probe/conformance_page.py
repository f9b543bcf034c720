"""Writes our own results into docs/conformance.md: `make conformance`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- conformance:begin -->", "<!-- conformance:end -->"
POLICIES = ("standard", "strict")


def main() -> int:
    """Probe under both policies and write what came; the worse of the exit codes."""
    probed = [_probed(policy) for policy in POLICIES]
    reports = [report for report, _ in probed]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{rendered(reports, commit)}\n{END}{after}")
    print(f"{PAGE.relative_to(ROOT)}: {', '.join(map(_counts, reports))}")
    return max(code for _, code in probed)


def rendered(reports: Sequence[dict[str, Any]], commit: str) -> str:
    """The section between the markers: one line a row, suites that must be refused counted."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = [
        f"`conclave probe self` on {today}, commit {commit or 'not recorded'}.",
        "",
        *(f"- {report['policy']}: {_counts(report)}." for report in reports),
        "",
        "| row | tried | " + " | ".join(report["policy"] for report in reports) + " | clause |",
        "|---|---|" + "---|" * (len(reports) + 1),
    ]
    refused: list[tuple[dict[str, str], ...]] = []
    for rows in zip(*(report["rows"] for report in reports), strict=True):
        if rows[0]["id"].startswith("suite-") and all(_refused(row) for row in rows):
            refused.append(rows)
            continue
        cells = [rows[0]["tried"], *(f"{row['result']}: {row['got']}" for row in rows)]
        cells = [cell.replace("|", "\\|") for cell in (*cells, rows[0]["clause"])]
        lines.append(f"| `{rows[0]['id']}` | {' | '.join(cells)} |")
    names = ", ".join(rows[0]["tried"].removesuffix(" alone") for rows in refused)
    lines += ["", f"And {len(refused)} suites, each alone, refused under every policy: {names}."]
    return "\n".join(lines)


def _probed(policy: str) -> tuple[dict[str, Any], int]:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = (sys.executable, "-m", "signaling", "probe", "self", "--policy", policy)
        done = subprocess.run(
            [*command, "--json", file.name],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
        report = json.loads(Path(file.name).read_text())
    assert isinstance(report, dict)
    return report, done.returncode


def _counts(report: dict[str, Any]) -> str:
    results = [row["result"] for row in report["rows"]]
    counts = {result: results.count(result) for result in ("pass", "fail", "untested")}
    return ", ".join(f"{count} {result}" for result, count in counts.items())


def _refused(row: dict[str, str]) -> bool:
    return (row["result"], row["expected"]) == ("pass", "refused")


if __name__ == "__main__":
    sys.exit(main())
