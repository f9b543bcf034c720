"""What this build is: its version, and the commit it was made from."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[1]


def version() -> str:
    """The version of this build."""
    try:
        return metadata.version("conclave")
    except metadata.PackageNotFoundError:
        return "0.0.0+source"


def commit() -> str | None:
    """The commit, as the build wrote it to `signaling/COMMIT` or as the checkout has it."""
    recorded, git = _PACKAGE / "COMMIT", _PACKAGE.parent / ".git"
    try:
        if recorded.is_file():
            return recorded.read_text().strip() or None
        head = (git / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        return head if name == head else (git / name).read_text().strip()
    except OSError:
        return None
