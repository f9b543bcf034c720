"""Handshakes in flight, bounded, and how they ended, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sfu.dtls import TransportFacts

PATIENCE = 4.0
"""Seconds for which a handshake keeps its place whoever waits. A usual one needs a round trip or
two; one that lost a flight, and then its repetition after a second, is done in less.
"""


@dataclass(frozen=True, slots=True)
class _Place:
    since: float
    give_up: Callable[[], None]


class Handshakes:
    """A client's first datagram takes a place, and only then its handshake costs memory. Without a
    place the datagram is dropped, and the client sends its hello again (RFC 6347 section 4.2.4:
    after a second, then doubling). When all are taken, the oldest that has had its time gives up:
    handshakes begun and left can crowd out each other, not those who mean it.

    `clock` counts seconds and never goes back.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.outcomes: Counter[str] = Counter()  # "connected" or the code of a refusal
        self.negotiated: Counter[tuple[str, str]] = Counter()  # (suite, SRTP profile)
        self.deferred = 0  # datagrams dropped for want of a place
        self._limit = limit
        self._clock = clock
        self._places: dict[int, _Place] = {}  # oldest first

    @property
    def in_flight(self) -> int:
        return len(self._places)

    def enter(self, peer: int, give_up: Callable[[], None]) -> bool:
        """Whether the peer has a place; idempotent. `give_up` ends its handshake, and is called
        when somebody else needs the place.
        """
        if peer in self._places:
            return True
        now = self._clock()
        if len(self._places) >= self._limit:
            number, oldest = next(iter(self._places.items()))
            if now - oldest.since < PATIENCE:
                self.deferred += 1
                return False
            oldest.give_up()
            self._places.pop(number, None)  # whatever became of it
        self._places[peer] = _Place(now, give_up)
        return True

    def succeeded(self, peer: int, facts: TransportFacts) -> None:
        self._places.pop(peer, None)
        self.outcomes["connected"] += 1
        self.negotiated[facts.cipher_suite, facts.srtp_profile] += 1

    def failed(self, peer: int, code: str) -> None:
        self._places.pop(peer, None)
        self.outcomes[code] += 1
