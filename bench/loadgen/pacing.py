"""When packets are due: evenly, or a whole frame at once. Times are monotonic nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FRAME: Final = 8
"""Packets of one picture: 30 pictures a second are then 2.3 Mbit/s, an ordinary 720p camera."""
_SECOND: Final = 1_000_000_000
_CATCH_UP: Final = _SECOND // 10
"""Arrears older than this are dropped: a stalled generator must not answer with a flood."""


@dataclass(slots=True)
class Pacer:
    """Says how many packets are due now, `burst` of them at each tick of an exact grid."""

    rate: float  # packets per second
    burst: int = 1
    start: int = 0
    _ticks: int = field(default=0, init=False)
    skipped: int = field(default=0, init=False)  # packets never sent because we were too late

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.burst < 1:
            raise ValueError("a pacer needs a positive rate and burst")

    @property
    def due(self) -> int:
        """When the next burst is due."""
        return self.start + int(self._ticks * self.burst * _SECOND / self.rate)

    def take(self, now: int) -> int:
        """Packets to send now; 0 when none is due. Arrears are made up, old ones are not."""
        if now < self.due:
            return 0
        late = now - _CATCH_UP
        while self.due < late:
            self._ticks += 1
            self.skipped += self.burst
        bursts = 0
        while self.due <= now:
            self._ticks += 1
            bursts += 1
        return bursts * self.burst
