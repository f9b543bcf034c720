"""How this process keeps memory: when Python looks for garbage, what the C library gives back."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

YOUNG: Final = 10_000
"""Objects made and not yet freed before the youngest are looked through; a join makes a thousand or
two that stay. Python's own 700 has it look several times during each.
"""
OLD: Final = 5
"""Looks at the young before the older are looked through, and so again for the oldest: seldom,
since that stops the event loop, and often enough that what people leave behind does not pile up.
"""
OWN_PAGES: Final = 200 * 1024
"""Bytes from which on an allocation has pages of its own. uvloop reads each TLS connection into
256 KiB of which it uses a few; glibc's own bound rises with the first that is freed, and the next
is laid over memory that was used before: 30 kB more for each connection.
"""
_M_MMAP_THRESHOLD: Final = -3  # malloc.h


def keep_large_apart() -> None:
    """To be called before the first connection. Without effect where the C library has no such
    setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, OWN_PAGES)


def settle() -> None:
    """To be called once, when everything is loaded: what is there now stays, and is not looked
    through again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLD, OLD)
