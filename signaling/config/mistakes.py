"""What is wrong with the settings: told all at once, each with what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with the settings: where, what, and what to do about it."""

    key: str
    problem: str
    remedy: str


class ConfigError(Exception):
    """The settings cannot be used; all that is wrong with them, in the file's order."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{m.key}: {m.problem}" for m in mistakes))
        self.mistakes = mistakes


def closest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that somebody who wrote `word` most likely meant."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)), None)
