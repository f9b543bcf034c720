"""The bare forwarder of `bench/bare`: where `make bench` has built it, and how it is run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.loadgen.servers import BareServer
from bench.machine import ROOT

PORT: Final = 7970  # of its media, beside the others'


def program() -> Path | None:
    """The release build; None where there is none (`make bench` makes it)."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "sfu/relay/target"))
    built = target / "release/bare"
    return built if built.exists() else None


def bare(program: Path, host: str, core: int, runs_with: Sequence[str]) -> BareServer:
    """How the generator starts it; `runs_with` are the words that put it into its place: its
    namespace, and on `core`.
    """
    # It must not outlive a killed generator
    command = ("setpriv", "--pdeathsig", "TERM", *runs_with, str(program))
    return BareServer(core=core, host=host, port=PORT, command=command)
