"""How a subscriber wants a track shown, and what it is given for that."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Quality(enum.IntEnum):
    """LiveKit's words for the layers of a track, in the order of their worth."""

    OFF = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class TrackSetting:
    """A subscriber's wish. Pixels, and pictures a second; a width that is not nought counts before
    the quality, and no frame rate means all there is. `priority`: 1 is served first where the link
    is narrow, 0 leaves it to the server.
    """

    disabled: bool = False
    quality: Quality = Quality.HIGH
    width: int = 0
    height: int = 0
    frame_rate: int = 0
    priority: int = 0


USUAL_PRIORITY = 1
"""Of what nobody says anything about: cameras."""


@dataclass(frozen=True, slots=True)
class View:
    """What is carried of a track: nothing while `paused`, else no layer above `layer`, 0 being the
    lowest and None whatever is best, and no more pictures a second than `frame_rate` takes. Of two
    tracks for which the link has not enough room, that of the higher `priority` (0 to 255) is
    served first.
    """

    layer: int | None = None
    paused: bool = False
    frame_rate: int | None = None
    priority: int = USUAL_PRIORITY
