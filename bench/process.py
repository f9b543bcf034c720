"""What a process costs: CPU time of all its threads, and memory. Linux only."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICK: Final = os.sysconf("SC_CLK_TCK")
_SCHED: Final = 2  # CPUCLOCK_SCHED, include/linux/posix-timers_types.h


def cpu_nanoseconds(pid: int) -> int:
    """CPU time of a whole process, user and kernel, threads that ended included.

    Reads the process's CPU clock (clock_getcpuclockid(3)): what the scheduler counted, to the
    nanosecond, where utime and stime of /proc are samples of 10 ms. Raises OSError.
    """
    return time.clock_gettime_ns((~pid << 3) | _SCHED)


def softirq_thread(core: int) -> int | None:
    """The process id of the kernel thread that takes over a core's network work under pressure."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                name = (folder / "comm").read_text().strip()
            except OSError:
                continue  # ended meanwhile
            if name == f"ksoftirqd/{core}":
                return int(folder.name)
    return None


def resident_bytes(pid: int) -> int:
    """Physical memory of a process, shared libraries included. Raises OSError."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Where one core's time went since boot, in seconds; samples of a clock tick."""

    user: float
    system: float
    idle: float
    interrupts: float
    stolen: float  # in which the core had work and the host ran something else


def core_time(core: int) -> CoreTime:
    """The accounts of one core, from /proc/stat. Raises OSError."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, idle, wait, irq, softirq, stolen = (int(one) for one in fields[:8])
            return CoreTime(
                user=(user + nice) / _TICK,
                system=system / _TICK,
                idle=(idle + wait) / _TICK,
                interrupts=(irq + softirq) / _TICK,
                stolen=stolen / _TICK,
            )
    raise OSError(f"no core {core}")
