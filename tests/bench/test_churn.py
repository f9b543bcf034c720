"""A slice of `make churn`: the whole of it, for seconds."""

from __future__ import annotations

import subprocess
import sys

from bench.machine import ROOT
from tests.patience import PATIENCE


def test_of_people_who_have_left_nothing_stays() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.churn", "--joins", "60", "--at-once", "6"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("    60 joins")
    assert last.endswith("left: nothing")
