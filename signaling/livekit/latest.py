"""What many are told alike is made once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


class Latest(Generic[Given, Made]):
    """A function that remembers the last thing it was given, by identity, and what it made of it.

    Whoever is in a room is told the same one after another. What is given and what is made must
    not change afterwards.
    """

    def __init__(self, make: Callable[[Given], Made]) -> None:
        self._make = make
        self._last: tuple[Given, Made] | None = None

    def __call__(self, given: Given) -> Made:
        last = self._last
        if last is None or last[0] is not given:
            last = self._last = given, self._make(given)
        return last[1]


class Remembered(Generic[Given, Made]):
    """A function that remembers what it made of each thing it was given, by identity, for as long
    as that is there. What is given takes weak references; neither it nor what is made must change
    afterwards.
    """

    def __init__(self, make: Callable[[Given], Made]) -> None:
        self._make = make
        self._made: dict[int, tuple[weakref.ref[Given], Made]] = {}

    def __len__(self) -> int:
        return len(self._made)

    def __call__(self, given: Given) -> Made:
        key = id(given)
        known = self._made.get(key)
        if known is not None and known[0]() is given:
            return known[1]
        made = self._make(given)

        def forget(gone: weakref.ref[Given]) -> None:
            # Unless another thing has come to the same place in memory meanwhile
            if (now := self._made.get(key)) is not None and now[0] is gone:
                del self._made[key]

        self._made[key] = weakref.ref(given, forget), made
        return made
