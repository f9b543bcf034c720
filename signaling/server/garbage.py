"""When Python looks for garbage that refers to itself."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 20_000
"""Objects made and not yet freed before the youngest are looked through; a join makes a thousand or
two that stay. Python's own 700 has it look several times during each.
"""
OLD: Final = 50
"""Looks at the young before everything that lives is looked through, which stops the event loop."""


def settle() -> None:
    """To be called once, when everything is loaded: what is there now stays, and is not looked
    through again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, OLD)
