"""One UDP path to the target's media port: connectivity checks, and what else comes sorted.

The controlling side of ICE against a lite agent (RFC 8445 section 6.1.1); STUN is aioice's. Until
the far end has answered a check of ours, nothing but checks is sent to it, so that a session
description cannot aim the probe at a stranger.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, cast

from aioice import stun

from sfu.probe.sides import Credentials, RemoteSide

CHECK_EVERY: Final = 0.1  # seconds between checks until one is answered
CONSENT_EVERY: Final = 2.5  # seconds; half of what RFC 7675 section 5.1 allows
_PRIORITY: Final = (110 << 24) | (65535 << 8) | 255  # peer-reflexive
_WAITING: Final = 1024  # datagrams of a kind that wait at most; what comes beyond is dropped
_ASKED: Final = 64

Loss = Callable[[], bool]
"""Whether the next DTLS datagram, of either direction, is lost."""


class Path(asyncio.DatagramProtocol):
    """A connected socket. `answers` False leaves the server's own checks without an answer."""

    def __init__(self, local: Credentials, remote: RemoteSide, *, answers: bool = True) -> None:
        self._local = local
        self._remote = remote
        self._answers = answers
        self._transport: asyncio.DatagramTransport | None = None
        self._tie_breaker = secrets.randbits(64)
        self._asked: dict[bytes, None] = {}
        self._proven = asyncio.Event()
        self._consenting = True
        self.loss: Loss = lambda: False
        self.sent = 0  # bytes of UDP payload, everything counted
        self.received = 0
        self.checks_answered = 0
        self.dtls: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        self.media: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)  # SRTP and SRTCP

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, local: Credentials, remote: RemoteSide, *, answers: bool = True
    ) -> AsyncIterator[Path]:
        """A fresh local port, towards the remote side's first usable candidate."""
        path = cls(local, remote, answers=answers)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: path, remote_addr=remote.address)
        try:
            yield path
        finally:
            transport.close()

    def send(self, datagram: bytes) -> None:
        """Send as it is; DTLS is subject to `loss`."""
        if self._transport is None or self._transport.is_closing():
            return
        if _is_dtls(datagram) and self.loss():
            return
        self.sent += len(datagram)
        self._transport.sendto(datagram)

    async def prove(self, within: float) -> bool:
        """Check until an answer comes (RFC 8445 section 7.2); whether one came. Consent is then
        kept until the path is closed.
        """
        deadline = time.monotonic() + within
        while not self._proven.is_set() and time.monotonic() < deadline:
            self.check()
            try:
                await asyncio.wait_for(self._proven.wait(), CHECK_EVERY)
            except TimeoutError:
                continue
        if self._proven.is_set():
            self._keep_consent()
        return self._proven.is_set()

    def pause_consent(self) -> None:
        """Send no more checks by itself."""
        self._consenting = False

    def check(self, *, remote: RemoteSide | None = None, password: str | None = None) -> None:
        """Send one Binding request that nominates; with whatever credentials a row wants."""
        remote = remote or self._remote
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{remote.ufrag}:{self._local.ufrag}"
        message.attributes["PRIORITY"] = _PRIORITY
        message.attributes["ICE-CONTROLLING"] = self._tie_breaker
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((password or remote.password).encode())
        self._asked[message.transaction_id] = None
        if len(self._asked) > _ASKED:
            self._asked.pop(next(iter(self._asked)))
        self.send(bytes(message))

    # --- asyncio.DatagramProtocol ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, _address: object) -> None:
        self.received += len(data)
        if not data:
            return
        if data[0] < 4:
            self._stun(data)
        elif _is_dtls(data):
            if not self.loss():
                _put(self.dtls, data)
        elif data[0] >> 6 == 2:
            _put(self.media, data)

    def error_received(self, _error: Exception) -> None:
        """A port that is closed now may open; the row's own time decides."""

    # --- STUN -----------------------------------------------------------------------------------

    def _keep_consent(self) -> None:
        open_ = self._transport is not None and not self._transport.is_closing()
        if open_ and self._consenting:
            self.check()
            asyncio.get_running_loop().call_later(CONSENT_EVERY, self._keep_consent)

    def _stun(self, data: bytes) -> None:
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if message.message_class == stun.Class.REQUEST:
            if self._answers and message.check_message_integrity(self._local.password.encode()):
                self._answer(message)
        elif message.transaction_id in self._asked:
            del self._asked[message.transaction_id]
            password = self._remote.password.encode()
            sealed = message.check_message_integrity(password)
            if message.message_class == stun.Class.RESPONSE and sealed:
                self.checks_answered += 1
                self._proven.set()

    def _answer(self, message: stun.Message) -> None:
        reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        reply.attributes["XOR-MAPPED-ADDRESS"] = self._remote.address
        reply.add_message_integrity(self._local.password.encode())
        self.send(bytes(reply))


def _is_dtls(datagram: bytes) -> bool:
    return 20 <= datagram[0] <= 63 if datagram else False  # RFC 7983 section 7


def _put(queue: asyncio.Queue[bytes], data: bytes) -> None:
    if not queue.full():
        queue.put_nowait(data)
