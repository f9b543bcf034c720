"""The client's end of one media transport: a UDP socket with ICE, DTLS and SRTP of our own."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pylibsrtp
from aioice import stun

from tests.patience import PATIENCE
from tests.security.offers import OPUS, LocalSide, RemoteSide
from tests.security.visitor import HOME
from tests.unit.sfu.dtls_client import Client

_BINDING_REQUEST = b"\x00\x01"  # RFC 8489 section 5


class Transport:
    """Speaks with the server's media port from a port of its own."""

    def __init__(self, remote: RemoteSide, client: Client, *, our_ufrag: str = "ourUfrag") -> None:
        self.remote = remote
        self.client = client
        self._our_ufrag = our_ufrag
        self._socket = udp_socket(remote)
        self._outbound: pylibsrtp.Session | None = None
        self._sequence = 0

    @classmethod
    @asynccontextmanager
    async def bound(cls, remote: RemoteSide, client: Client) -> AsyncIterator[Transport]:
        """With a Binding request answered."""
        transport = cls(remote, client)
        try:
            await transport._bind()
            yield transport
        finally:
            transport._socket.close()

    async def handshake(self) -> str:
        """Drive the handshake to its end: "" for success, else what OpenSSL says here."""
        async with asyncio.timeout(PATIENCE):
            received: list[bytes] = []
            while True:
                for datagram in self.client.step(received):
                    for record in _datagrams(datagram):
                        self.send(record)
                if self.client.done or self.client.error:
                    break
                received = await self._receive()
                if not received:
                    self.client.connection.DTLSv1_handle_timeout()
        if self.client.done:
            self._outbound = self._srtp()
        return self.client.error

    def speak(self, count: int, *, ssrc: int = 77) -> None:
        """Seal and send so many packets of sound."""
        assert self._outbound is not None
        for _ in range(count):
            self._sequence += 1
            head = struct.pack("!BBHII", 0x80, OPUS, self._sequence, 960 * self._sequence, ssrc)
            self.send(self._outbound.protect(head + b"\xf8" + bytes(60)))

    def goodbye(self) -> None:
        """close_notify, as polite clients send it."""
        self.client.connection.shutdown()
        for datagram in self.client.step():
            self.send(datagram)

    def send(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    async def _bind(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                self.send(binding_request(self.remote, self._our_ufrag, self.remote.password))
                if any(datagram[0] < 4 for datagram in await self._receive()):
                    return

    async def _receive(self) -> list[bytes]:
        """One datagram, or none within half a second. Not `sock_recv`, which loses what comes just
        as it is cancelled.
        """
        for _ in range(50):
            try:
                datagram = self._socket.recv(2048)
            except BlockingIOError:
                await asyncio.sleep(0.01)
                continue
            if datagram[:2] != _BINDING_REQUEST:
                return [datagram]
            self._answer(datagram)
        return []

    def _answer(self, question: bytes) -> None:
        """Without it the server sends three times as much as it got, and not one byte more."""
        asked = stun.parse_message(question)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = (self.remote.host, self.remote.port)
        answer.add_message_integrity(LocalSide().password.encode())
        self.send(bytes(answer))

    def _srtp(self) -> pylibsrtp.Session:
        """What we seal with, under whichever of the two profiles was taken."""
        gcm = self.client.connection.get_selected_srtp_profile() == b"SRTP_AEAD_AES_128_GCM"
        key, salt = 16, 12 if gcm else 14
        material = self.client.connection.export_keying_material(
            b"EXTRACTOR-dtls_srtp", 2 * (key + salt)
        )
        profile = (
            pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM
            if gcm
            else pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80
        )
        ours = material[:key] + material[2 * key : 2 * key + salt]
        return pylibsrtp.Session(
            pylibsrtp.Policy(
                key=ours, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile
            )
        )


def udp_socket(remote: RemoteSide) -> socket.socket:
    """From a free port of our home, towards the server's media port."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((HOME, 0))
    made.connect((remote.host, remote.port))
    made.setblocking(False)
    return made


def binding_request(remote: RemoteSide, our_ufrag: str, password: str | None) -> bytes:
    """A check that nominates, sealed with `password` or not at all (RFC 8445 section 7.1)."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{remote.ufrag}:{our_ufrag}"
    message.attributes["PRIORITY"] = (110 << 24) | (65535 << 8) | 255
    message.attributes["ICE-CONTROLLING"] = 77
    message.attributes["USE-CANDIDATE"] = None
    if password is not None:
        message.add_message_integrity(password.encode())
    return bytes(message)


def _datagrams(flight: bytes) -> list[bytes]:
    """A flight's records, one to a datagram."""
    records = []
    while flight:
        length = 13 + int.from_bytes(flight[11:13], "big")
        records.append(flight[:length])
        flight = flight[length:]
    return records
