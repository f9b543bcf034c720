"""Updates about those who only listen, and about connections, held back for a moment and told
together.

Each is told to everybody, so people who come to a large room one after another would cost the
square of their number. LiveKit holds back the former for up to 3 s, the latter for 5, and in rooms
of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from signaling.domain.condition import ConnectionQuality
from signaling.domain.people import Participant
from signaling.ports import Later

FEW: Final = 8
"""In a room of so many nothing is held back."""
SHORTEST: Final = 0.1
"""Seconds: who comes is in the room and connected within them, which is then told at once."""
EACH: Final = 0.001
"""Seconds more for each person in the room: what is told costs as much more."""
LONGEST: Final = 1.0
MOST: Final = 64
"""Participants of one update; a metadata's length is bounded, so this bounds its bytes."""


class Holding:
    """What one room's people are still to be told. `tell` is called when the time is up.

    Without `later` nothing is held back.
    """

    def __init__(self, later: Later | None, tell: Callable[[], None]) -> None:
        self._later = later
        self._tell = tell
        self._held: dict[str, Participant] = {}
        self._qualities: dict[str, ConnectionQuality] = {}
        self._due = False

    def add(self, participant: Participant, people: int) -> bool:
        """Hold back the newest of what is known of a participant, in a room of so many; False for
        not to.
        """
        self._held.pop(participant.sid, None)
        if len(self._held) >= MOST or not self._waits(people):
            return False
        self._held[participant.sid] = participant
        return True

    def add_quality(self, sid: str, quality: ConnectionQuality, people: int) -> bool:
        """The same of how somebody's connection is."""
        self._qualities.pop(sid, None)
        if not self._waits(people):
            return False
        self._qualities[sid] = quality
        return True

    def take(self, *, but: str = "") -> tuple[Participant, ...]:
        """All that is held back, and nothing is any more. Of `but` there is something newer."""
        held = tuple(one for sid, one in self._held.items() if sid != but)
        self._held.clear()
        return held

    def take_qualities(self) -> dict[str, ConnectionQuality]:
        """By participant sid, all that is held back, and nothing is any more."""
        held, self._qualities = self._qualities, {}
        return held

    def __contains__(self, sid: object) -> bool:
        return sid in self._held

    def _waits(self, people: int) -> bool:
        """Whether something is held back; what is will be told."""
        if self._later is None or people <= FEW:
            return False
        if not self._due:
            self._due = True
            self._later(min(LONGEST, SHORTEST + EACH * people), self._time_is_up)
        return True

    def _time_is_up(self) -> None:
        self._due = False
        self._tell()
