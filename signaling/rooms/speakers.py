"""Who is speaking: track levels in, one full statement out.

LiveKit's JavaScript client merges what it is told, its Rust client shows exactly what the last
message lists; so each statement holds every active speaker and those who have just stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = 8
"""Levels are told in eighths, so that a breath is not an update."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """`level` is 0.0 to 1.0 in eighths, always finite."""

    sid: str
    level: float
    active: bool


class Speakers:
    """The loudness of one room."""

    def __init__(self) -> None:
        self._levels: dict[str, dict[str, float]] = {}
        self._told: dict[str, float] = {}

    def hear(self, levels: Iterable[tuple[str, str, float]]) -> tuple[Speaker, ...]:
        """Take (participant sid, track sid, level 0.0 to 1.0); return the statement due, if any."""
        for sid, track_sid, level in levels:
            self._levels.setdefault(sid, {})[track_sid] = _quantised(level)
        return self._statement()

    def forget_track(self, sid: str, track_sid: str) -> tuple[Speaker, ...]:
        """The track was muted or is gone."""
        if self._levels.get(sid, {}).pop(track_sid, None) is None:
            return ()
        return self._statement()

    def forget(self, sid: str) -> None:
        """The participant is gone, which everybody is told otherwise."""
        self._levels.pop(sid, None)
        self._told.pop(sid, None)

    def _statement(self) -> tuple[Speaker, ...]:
        loudest = {sid: max(tracks.values(), default=0.0) for sid, tracks in self._levels.items()}
        active = {sid: level for sid, level in loudest.items() if level > 0.0}
        if active == self._told:
            return ()
        stopped = [sid for sid in self._told if sid not in active]
        self._told = active
        return (
            *(Speaker(sid, level, True) for sid, level in _by_loudness(active)),
            *(Speaker(sid, 0.0, False) for sid in stopped),
        )


def _by_loudness(active: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(active.items(), key=lambda item: (-item[1], item[0]))


def _quantised(level: float) -> float:
    if not math.isfinite(level):
        return 0.0
    return math.ceil(min(max(level, 0.0), 1.0) * STEPS) / STEPS
