"""A program of the bench, run as people run it."""

from __future__ import annotations

import subprocess
import sys

from bench.machine import ROOT
from tests.patience import PATIENCE


def done(module: str, *words: str) -> str:
    """What `python -m module words…` printed; it must have ended well."""
    run = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
