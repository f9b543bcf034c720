"""How good each participant's connection is: conditions in, LiveKit's words out. Pure.

The scale is that of the E-model (ITU-T G.107) as LiveKit's server takes it: 100 less what delay and
loss cost.
"""

from __future__ import annotations

from collections.abc import Iterable

from signaling.domain.condition import Condition, ConnectionQuality

LOSS_COST = 4.0
"""Points for each percent lost: a few percent are sent again before anybody notices."""
EXCELLENT_ABOVE, GOOD_ABOVE = 80.0, 40.0
"""LiveKit's bounds."""
NOTICED_DELAY = 160.0
"""Milliseconds one way from which on a conversation suffers (G.107, the knee of its curve)."""


def score(condition: Condition) -> float:
    """0 to 100 of one transport that answers."""
    losses = (condition.loss_up or 0, condition.loss_down or 0)
    one_way = (condition.round_trip or 0.0) * 1000 / 2
    delay = one_way / 40 if one_way <= NOTICED_DELAY else (one_way - 120) / 10
    return min(max(100.0 - delay - max(losses) * LOSS_COST, 0.0), 100.0)


def judge(conditions: Iterable[Condition]) -> ConnectionQuality:
    """Of all of a participant's transports: as good as the worst of them."""
    worst = ConnectionQuality.EXCELLENT
    for condition in conditions:
        points = score(condition)
        if condition.silent:
            quality = ConnectionQuality.LOST
        elif condition.withheld or points <= GOOD_ABOVE:
            quality = ConnectionQuality.POOR
        elif points <= EXCELLENT_ABOVE:
            quality = ConnectionQuality.GOOD
        else:
            quality = ConnectionQuality.EXCELLENT
        worst = min(worst, quality)
    return worst


class Qualities:
    """The connections of one room."""

    def __init__(self) -> None:
        self._conditions: dict[str, dict[str, Condition]] = {}
        self._told: dict[str, ConnectionQuality] = {}

    def take(self, sid: str, transport: str, condition: Condition) -> ConnectionQuality | None:
        """What one of a participant's transports does now; the participant's quality where that
        changed.
        """
        conditions = self._conditions.setdefault(sid, {})
        conditions[transport] = condition
        quality = judge(conditions.values())
        if self._told.get(sid) is quality:
            return None
        self._told[sid] = quality
        return quality

    def known(self) -> dict[str, ConnectionQuality]:
        """By participant sid, what was told last."""
        return dict(self._told)

    def forget(self, sid: str) -> None:
        """The participant is gone."""
        self._conditions.pop(sid, None)
        self._told.pop(sid, None)
