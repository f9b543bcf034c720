"""CPU time counts every thread, and reaches below a clock tick."""

from __future__ import annotations

import os
import threading
import time

import pytest

from bench.process import core_time, cpu_nanoseconds, resident_bytes


def test_the_work_of_a_thread_that_has_ended_is_still_counted() -> None:
    before, own = cpu_nanoseconds(os.getpid()), time.thread_time_ns()
    spent = []

    def work() -> None:
        while time.thread_time_ns() < 30_000_000:
            pass
        spent.append(time.thread_time_ns())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    own = time.thread_time_ns() - own
    assert cpu_nanoseconds(os.getpid()) - before >= spent[0] + own


def test_a_process_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError, match=r".+"):
        cpu_nanoseconds(2**22 + 1)


def test_memory_and_cores_can_be_read() -> None:
    assert resident_bytes(os.getpid()) > 1_000_000
    assert core_time(0).idle > 0
    with pytest.raises(OSError, match="no core"):
        core_time(4096)
