"""Where and on what a result was measured."""

from __future__ import annotations

import os
import platform
import re
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.backends.openssl import backend

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Machine:
    """Hardware and software that a number depends on."""

    processor: str
    cores: int
    virtual: bool
    kernel: str
    python: str
    openssl: str
    openssl_media: str


def machine() -> Machine:
    """This machine."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return Machine(
        processor=model[1] if model else platform.machine(),
        cores=os.cpu_count() or 1,
        virtual=" hypervisor" in info,
        kernel=platform.release(),
        python=platform.python_version(),
        openssl=ssl.OPENSSL_VERSION,
        openssl_media=backend.openssl_version_text(),
    )


def commit() -> str:
    """The commit of this checkout, with "+changes" when the work tree differs; else "unknown"."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+changes" if changed else head


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
