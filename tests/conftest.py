"""What is true of all tests, whatever the speed of the machine."""

from __future__ import annotations

import os
import sys
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# No example is too slow.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_STATUS: Final = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Where the LiveKit SDK has run, end without taking the interpreter down: a thread of the SDK
    that calls into one that is going aborts the process, all tests passed or not.
    """
    worker = hasattr(config, "workerinput")  # of a parallel run: its status is nobody's
    if "livekit.rtc" in sys.modules and not worker and _STATUS in config.stash:
        config.get_terminal_writer().flush()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_STATUS])
