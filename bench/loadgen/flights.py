"""How long packets were on their way: from our send call to the subscriber's socket.

Both ends are this machine's real-time clock: read just before the sending system call, and stamped
by the kernel on arrival, so that how late the generator itself looks does not count.
"""

from __future__ import annotations

from array import array
from typing import Final

_REMEMBERED: Final = 1 << 13  # packets per source: seconds at every rate used here


class Flights:
    """The send times of all sources, and the delays of what was sampled."""

    def __init__(self) -> None:
        self._sent: list[array[int]] = []
        self._delays = array("q")

    def add_source(self) -> int:
        """A number for a new source."""
        self._sent.append(array("q", bytes(8 * _REMEMBERED)))
        return len(self._sent) - 1

    def sent(self, source: int, counter: int, at: int) -> None:
        """A packet is about to leave; `at` in Unix nanoseconds."""
        self._sent[source][counter % _REMEMBERED] = at

    def arrived(self, source: int, counter: int, at: int) -> None:
        """A sampled packet of that source had arrived at that time."""
        if source < len(self._sent):
            self._delays.append(at - self._sent[source][counter % _REMEMBERED])

    def take(self) -> list[int]:
        """The delays since the last call, in nanoseconds."""
        taken = self._delays.tolist()
        self._delays = array("q")
        return taken
