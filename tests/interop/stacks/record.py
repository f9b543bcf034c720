"""What a run proved, a line of JSON a claim, for the table in docs/interop.md."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests.node import ROOT

RECORD = ROOT / "tests" / "artifacts" / "interop.jsonl"


@dataclass(frozen=True, slots=True)
class Claim:
    """One stack in one role, under one policy or one forced combination."""

    stack: str
    role: str  # "sender" or "receiver"
    setting: str  # "standard", "strict", or "forced"
    other: str
    """Who recognised its media, or whose media it recognised."""
    suite: str = ""
    profile: str = ""
    group: str = ""
    refused: str = ""
    """The outcome of its handshake, where it must fail."""
    commit: str = "not noted"
    """The tree it was proven with."""


def keep(claim: Claim) -> None:
    """Add a claim that has just been proven."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    with RECORD.open("a") as file:
        file.write(json.dumps(asdict(replace(claim, commit=_commit()))) + "\n")


def negotiated(transport: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a claim out of the server's record of a transport."""
    return {
        "suite": transport["cipher_suite"],
        "profile": transport["srtp_profile"],
        "group": transport["group"],
    }


def claims() -> Iterator[Claim]:
    """All claims of the last run."""
    if RECORD.exists():
        for line in RECORD.read_text().splitlines():
            yield Claim(**json.loads(line))


@functools.cache
def _commit() -> str:
    asked = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    return subprocess.run(
        asked, cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.strip()
