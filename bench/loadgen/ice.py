"""The controlling side of ICE against a lite server: check, nominate, keep consent (RFC 8445).

STUN is aioice's.
"""

from __future__ import annotations

import secrets
from typing import Final

from aioice import stun

from bench.loadgen.sdp import LocalSide, RemoteSide

CONSENT_EVERY: Final = 5.0  # seconds (RFC 7675 section 5.1)
RETRY_EVERY: Final = 0.05  # seconds (RFC 8445 section 14.3, the shortest a client may take)
_PRIORITY: Final = (110 << 24) | (65535 << 8) | 255  # peer-reflexive


class Checks:
    """Connectivity checks of one peer, over datagrams; no sockets in here."""

    def __init__(self, local: LocalSide, remote: RemoteSide) -> None:
        self._local = local
        self._remote = remote
        self._tie_breaker = secrets.randbits(64)
        self._asked: set[bytes] = set()
        self.answered = False

    def question(self) -> bytes:
        """A Binding request that nominates."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self._remote.ufrag}:{self._local.ufrag}"
        message.attributes["PRIORITY"] = _PRIORITY
        message.attributes["ICE-CONTROLLING"] = self._tie_breaker
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self._remote.password.encode())
        self._asked.add(message.transaction_id)
        if len(self._asked) > 64:
            self._asked.pop()
        return bytes(message)

    def receive(self, datagram: bytes, source: tuple[str, int]) -> bytes | None:
        """Take one STUN message; the reply, if it wants one. What is not for us is ignored."""
        try:
            message = stun.parse_message(datagram)
        except ValueError:
            return None
        asked = message.message_class == stun.Class.REQUEST
        password = (self._local if asked else self._remote).password
        if not message.check_message_integrity(password.encode()):
            return None
        if asked:
            return self._answer(message, source)
        if message.transaction_id in self._asked:
            self._asked.discard(message.transaction_id)
            self.answered |= message.message_class == stun.Class.RESPONSE
        return None

    def _answer(self, message: stun.Message, source: tuple[str, int]) -> bytes:
        reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        reply.attributes["XOR-MAPPED-ADDRESS"] = source
        reply.add_message_integrity(self._local.password.encode())
        return bytes(reply)
