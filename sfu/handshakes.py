"""Handshakes in flight, bounded, and how they ended, counted."""

from __future__ import annotations

from collections import Counter

from sfu.dtls import TransportFacts


class Handshakes:
    """A client's first datagram takes a place; without one it is dropped, and the client sends its
    hello again (RFC 6347 section 4.2.4: after a second, then doubling).
    """

    def __init__(self, limit: int) -> None:
        self.outcomes: Counter[str] = Counter()  # "connected" or the code of a refusal
        self.negotiated: Counter[tuple[str, str]] = Counter()  # (suite, SRTP profile)
        self.deferred = 0  # datagrams dropped for want of a place
        self._limit = limit
        self._in_flight: set[int] = set()

    def enter(self, peer: int) -> bool:
        """Whether the peer has a place; idempotent."""
        if peer in self._in_flight:
            return True
        if len(self._in_flight) >= self._limit:
            self.deferred += 1
            return False
        self._in_flight.add(peer)
        return True

    def succeeded(self, peer: int, facts: TransportFacts) -> None:
        self._in_flight.discard(peer)
        self.outcomes["connected"] += 1
        self.negotiated[facts.cipher_suite, facts.srtp_profile] += 1

    def failed(self, peer: int, code: str) -> None:
        self._in_flight.discard(peer)
        self.outcomes[code] += 1
