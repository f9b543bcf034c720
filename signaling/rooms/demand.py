"""What is wanted of one video track by anybody, so that its publisher sends nothing else. Pure;
times are monotonic seconds.

As LiveKit does it: more is asked for at once, since somebody waits for it; less only after a while,
since starting a layer again costs everybody a key frame.
"""

from __future__ import annotations

from signaling.domain.viewing import Quality

PATIENCE = 5.0
"""Seconds for which less has been wanted before the publisher is told."""
FIRST_PATIENCE = 10.0
"""The same for a track of which nobody has wanted anything yet."""


class Demand:
    """The wishes for one track, and what its publisher was last told."""

    def __init__(self, now: float) -> None:
        self._wishes: dict[str, Quality] = {}
        self._told: Quality | None = None
        self._less_at: float | None = now + FIRST_PATIENCE
        self._again = False

    def want(self, sid: str, quality: Quality, now: float) -> None:
        """One subscriber's wish, in place of its last one; OFF for none."""
        if quality is Quality.OFF:
            self._wishes.pop(sid, None)
        else:
            self._wishes[sid] = quality
        if self._told is None:
            return
        if self._highest() >= self._told:
            self._less_at = None
        elif self._less_at is None:
            self._less_at = now + PATIENCE

    def repeat(self) -> None:
        """The publisher begins anew, and is to be told again."""
        self._again = self._told is not None

    def due(self, now: float) -> Quality | None:
        """What the publisher is to be told now, if anything; asking counts as telling."""
        highest = self._highest()
        more = highest > (Quality.OFF if self._told is None else self._told)
        less = self._less_at is not None and now >= self._less_at
        if not (more or less or self._again):
            return None
        self._told, self._less_at, self._again = highest, None, False
        return highest

    def deadline(self) -> float | None:
        """When `due` may have something to tell by itself."""
        return self._less_at

    def _highest(self) -> Quality:
        return max(self._wishes.values(), default=Quality.OFF)
