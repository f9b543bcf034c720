"""How a participant's connection is doing."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ConnectionQuality(enum.IntEnum):
    """LiveKit's words for it, in the order of their worth."""

    LOST = 0
    POOR = 1
    GOOD = 2
    EXCELLENT = 3


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of one transport. Losses are percent of what the client sends (up) and is sent
    (down), the round trip is seconds; None where nothing can be said.
    """

    loss_up: int | None = None
    loss_down: int | None = None
    round_trip: float | None = None
    withheld: bool = False  # the link has no room for something that the client wants
    silent: bool = False  # the client answers no more
