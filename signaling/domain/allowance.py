"""A token bucket. Pure; times are monotonic seconds."""

from __future__ import annotations


class Allowance:
    """At most `burst` at once, refilled by `rate` per second."""

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._refilled_at = now

    def spend(self, cost: float, now: float) -> bool:
        """Take `cost`; False, and nothing taken, when less is left."""
        elapsed = max(0.0, now - self._refilled_at)
        self._left = min(self._burst, self._left + elapsed * self._rate)
        self._refilled_at = max(self._refilled_at, now)
        if self._left < cost:
            return False
        self._left -= cost
        return True
