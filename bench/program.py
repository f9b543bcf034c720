"""How programs of the bench begin and end: on which cores, and when they are told to stop."""

from __future__ import annotations

import os
import signal
import sys


class TooFewCores(Exception):
    """Server and clients on one core would measure each other."""


def cores_apart() -> tuple[int, int]:
    """One core for servers, another for their clients. Raises TooFewCores."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise TooFewCores("Servers and clients need a core each; this process may use only one.")
    return cores[0], cores[1]


def end_when_told() -> None:
    """On SIGTERM leave as at a normal end: servers and browsers are stopped, namespaces freed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
