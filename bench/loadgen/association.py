"""How a transport comes to its keys: by ICE and DTLS, or because somebody told it.

No sockets in here: datagrams in, datagrams out.
"""

from __future__ import annotations

from typing import Protocol

from bench.loadgen.dtls import Handshake, Identity, Keys
from bench.loadgen.ice import Checks
from bench.loadgen.sdp import LocalSide, RemoteSide


class Association(Protocol):
    """What a transport does beside media."""

    @property
    def keys(self) -> Keys | None:
        """None until media can flow."""
        ...

    @property
    def reached(self) -> bool:
        """Whether the other side has answered at all; questions are rarer from then on."""
        ...

    def question(self) -> bytes | None:
        """What to ask the other side time and again; None where nothing is to be asked."""
        ...

    def take(self, datagram: bytes, source: tuple[str, int]) -> list[bytes]:
        """One datagram that is neither RTP nor RTCP; what to send. Raises `HandshakeError`."""
        ...

    def retransmit(self) -> list[bytes]:
        """What to send again by now."""
        ...


class Negotiated:
    """ICE against a lite server, then DTLS as its client."""

    def __init__(self, identity: Identity, local: LocalSide, remote: RemoteSide) -> None:
        self._checks = Checks(local, remote)
        self._handshake = Handshake(identity, remote.fingerprints)
        self._greeted = False
        self._greeting: list[bytes] = []  # until it is answered

    @property
    def keys(self) -> Keys | None:
        return self._handshake.keys

    @property
    def reached(self) -> bool:
        return self._checks.answered

    def question(self) -> bytes | None:
        return self._checks.question()

    def take(self, datagram: bytes, source: tuple[str, int]) -> list[bytes]:
        first = datagram[0] if datagram else 255
        if 20 <= first <= 63:
            self._greeting = []
            return self._handshake.step(datagram)
        if first >= 4:
            return []
        reply = self._checks.receive(datagram, source)
        outgoing = [] if reply is None else [reply]
        if self.reached and not self._greeted:
            self._greeted = True
            self._greeting = self._handshake.step()
            outgoing += self._greeting
        return outgoing

    def retransmit(self) -> list[bytes]:
        """A greeting is sent again at each call: Janus drops one that comes before it expects it,
        and OpenSSL's first timer takes a second.
        """
        return self._greeting or self._handshake.retransmit()


class Given:
    """Keys that both sides were given: nothing is asked and nothing negotiated."""

    reached = True

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @property
    def keys(self) -> Keys | None:
        return self._keys

    def question(self) -> bytes | None:
        return None

    def take(self, datagram: bytes, source: tuple[str, int]) -> list[bytes]:
        return []

    def retransmit(self) -> list[bytes]:
        return []
