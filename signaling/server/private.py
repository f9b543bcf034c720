"""Files and folders that hold secrets: only their owner may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

MAX_FILE_BYTES: Final = 1024 * 1024  # keys, certificates and settings are far smaller

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class PrivateFileError(Exception):
    """A file that should hold a secret cannot be used; the text says why and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


def read_file(path: Path) -> bytes:
    """The bytes of a file that may be public. Raises PrivateFileError."""
    return _read(path, private=False)


def read_private(path: Path) -> bytes:
    """The bytes of a file nobody else may read. Raises PrivateFileError.

    The mode is that of the file that was opened, so a swap between look and read gains nothing.
    """
    return _read(path, private=True)


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 in one step: readers see the old content or the new."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)


def make_private_folder(path: Path) -> None:
    """Make a folder with mode 0700, or refuse one that others may enter.

    Raises PrivateFileError.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode
    except OSError as error:
        raise PrivateFileError(
            f"{path} cannot be made a folder: {error.strerror}", "choose another folder"
        ) from error
    if mode & _OTHERS:
        raise PrivateFileError(f"{path} may be entered by other users", f"chmod 700 {path}")


def _read(path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if private and mode & _OTHERS:
                raise PrivateFileError(
                    f"{path} holds a secret and other users may read it", f"chmod 600 {path}"
                )
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PrivateFileError(
            f"{path} cannot be read: {error.strerror}", "check the path and its owner"
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise PrivateFileError(f"{path} is larger than {MAX_FILE_BYTES} bytes", "check the path")
    return content
