"""Keeps the server at the load that was asked for, by the rate of the cameras."""

from __future__ import annotations

from typing import Final, Protocol

BUSY: Final = 0.85
"""Of a core: above, the generator is what limits."""


class Cameras(Protocol):
    """What can be sent faster and slower."""

    def set_rate(self, rate: float) -> None:
        """Packets per second of each camera."""


class Steering:
    """Holds the rate, packets per second of each camera."""

    def __init__(self, cameras: Cameras, wanted: float) -> None:
        """`wanted` is the load, of a core."""
        self.rate = 200.0
        self._cameras = cameras
        self._wanted = wanted
        cameras.set_rate(self.rate)

    def correct(self, load: float, busy: float, most: float) -> None:
        """Raise or lower the rate, by a factor of `most` at most. With it the server's load was as
        told and the generator's `busy`, both of a core and about in proportion to the rate.
        """
        if busy > BUSY:
            factor = BUSY / busy
        else:
            factor = min(self._wanted / max(load, 0.01), BUSY / max(busy, 0.01))
        self.rate *= min(most, max(1 / most, factor))
        self._cameras.set_rate(self.rate)
