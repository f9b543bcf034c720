"""What many are told alike is made once."""

from __future__ import annotations

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
