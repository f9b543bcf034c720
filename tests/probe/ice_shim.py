"""Carries a DTLS client that knows no ICE to a server's media port.

The client, somebody else's tool, speaks plain DTLS to a local UDP port. The shim proves the path
with connectivity checks, answers the server's own, and passes on what its first byte shows to be
DTLS (RFC 7983 section 7), in both directions and unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aioice import stun

from sfu.probe.sides import Credentials, RemoteSide

PATIENCE = 10.0  # seconds until a check must have been answered
CHECK_EVERY = 0.1
CONSENT_EVERY = 2.5  # half of what RFC 7675 section 5.1 allows
_PRIORITY = (110 << 24) | (65535 << 8) | 255


class IceShim(asyncio.DatagramProtocol):
    """The side towards the media port; `_Local` is the one towards the tool."""

    def __init__(self, local: Credentials, remote: RemoteSide) -> None:
        self._local = local
        self._remote = remote
        self._tool = _Local(self)
        self._outside: asyncio.DatagramTransport | None = None
        self._asked: set[bytes] = set()
        self._proven = asyncio.Event()
        self.port = 0  # where the tool connects to, on 127.0.0.1
        self.checks_answered = 0  # of the server's, by us
        self.to_server = 0  # DTLS datagrams
        self.to_tool = 0

    @classmethod
    @asynccontextmanager
    async def proven(cls, local: Credentials, remote: RemoteSide) -> AsyncIterator[IceShim]:
        """With a check answered, and consent kept for the time of the block."""
        shim, loop = cls(local, remote), asyncio.get_running_loop()
        inside, _ = await loop.create_datagram_endpoint(
            lambda: shim._tool, local_addr=("127.0.0.1", 0)
        )
        outside, _ = await loop.create_datagram_endpoint(lambda: shim, remote_addr=remote.address)
        shim._outside, shim._tool.transport = outside, inside
        shim.port = inside.get_extra_info("sockname")[1]
        checking = asyncio.create_task(shim._keep_checking())
        try:
            async with asyncio.timeout(PATIENCE):
                await shim._proven.wait()
            yield shim
        finally:
            checking.cancel()
            outside.close()
            inside.close()

    def from_tool(self, datagram: bytes) -> None:
        """Towards the server; what is no DTLS stays here."""
        if _is_dtls(datagram) and self._outside is not None:
            self.to_server += 1
            self._outside.sendto(datagram)

    def datagram_received(self, data: bytes, _address: object) -> None:
        if _is_dtls(data):
            self.to_tool += 1
            self._tool.send(data)
        elif data and data[0] < 4:
            self._stun(data)

    async def _keep_checking(self) -> None:
        while self._outside is None or not self._outside.is_closing():
            self._check()
            await asyncio.sleep(CONSENT_EVERY if self._proven.is_set() else CHECK_EVERY)

    def _check(self) -> None:
        """A Binding request of the controlling agent that nominates (RFC 8445 section 7.2)."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self._remote.ufrag}:{self._local.ufrag}"
        message.attributes["PRIORITY"] = _PRIORITY
        message.attributes["ICE-CONTROLLING"] = 77
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self._remote.password.encode())
        self._asked.add(message.transaction_id)
        if self._outside is not None:
            self._outside.sendto(bytes(message))

    def _stun(self, data: bytes) -> None:
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if message.message_class == stun.Class.RESPONSE and message.transaction_id in self._asked:
            self._proven.set()
        elif message.message_class == stun.Class.REQUEST:
            reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
            reply.attributes["XOR-MAPPED-ADDRESS"] = self._remote.address
            reply.add_message_integrity(self._local.password.encode())
            assert self._outside is not None
            self._outside.sendto(bytes(reply))
            self.checks_answered += 1


class _Local(asyncio.DatagramProtocol):
    """The port that the tool takes for the server. The first who sends is the tool."""

    def __init__(self, shim: IceShim) -> None:
        self._shim = shim
        self.transport: asyncio.DatagramTransport | None = None
        self._address: tuple[str, int] | None = None

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._address = self._address or address
        if address == self._address:
            self._shim.from_tool(data)

    def send(self, datagram: bytes) -> None:
        if self.transport is not None and self._address is not None:
            self.transport.sendto(datagram, self._address)


def _is_dtls(datagram: bytes) -> bool:
    return bool(datagram) and 20 <= datagram[0] <= 63
