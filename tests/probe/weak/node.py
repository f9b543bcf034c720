"""A small SFU for tests: LiveKit's signalling without TLS, ICE-lite, DTLS, SRTP, one room."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from aioice import stun
from livekit.protocol import models, rtc
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from sfu.probe.identity import fingerprint, identity
from tests.probe.weak.contexts import server_certificate, server_context
from tests.probe.weak.peer import ALERT, Peer, Refused
from tests.probe.weak.strength import Strength

Address = tuple[str, int]
TICK = 0.1  # seconds between looks at OpenSSL's timers


@dataclass
class Way:
    """What is known of an address."""

    member: Member
    proven: bool = False
    received: int = 0
    sent: int = 0
    asked: set[bytes] = field(default_factory=set)
    held: list[bytes] = field(default_factory=list)


@dataclass
class Member:
    """One participant."""

    socket: ServerConnection
    ufrag: str
    password: str
    theirs: str  # the client's ICE password
    client: str  # and its username fragment
    peer: Peer
    address: Address | None = None


class WeakNode(asyncio.DatagramProtocol):
    """Everything of it. `url` is what a probe is pointed at."""

    def __init__(self, strength: Strength) -> None:
        self.strength = strength
        self.context = server_context(strength)
        self.members: dict[str, Member] = {}  # by username fragment
        self.ways: dict[Address, Way] = {}
        self.kept: list[Peer] = []  # OpenSSL forgets the session of a connection that is freed
        self.url = ""
        self.port = 0
        self.transport: asyncio.DatagramTransport

    @classmethod
    @asynccontextmanager
    async def running(cls, strength: Strength) -> AsyncIterator[WeakNode]:
        """A node on free loopback ports for the time of the block."""
        node = cls(strength)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: node, ("127.0.0.1", 0))
        node.port = transport.get_extra_info("sockname")[1]
        async with serve(node.signalling, "127.0.0.1", 0, compression=None) as server:
            node.url = f"livekit+ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            ticking = asyncio.create_task(node.tick())
            try:
                yield node
            finally:
                ticking.cancel()
                transport.close()

    # --- signalling -----------------------------------------------------------------------------

    async def signalling(self, socket: ServerConnection) -> None:
        """One participant's session."""
        assert socket.request is not None
        packed = parse_qs(urlsplit(socket.request.path).query)["join_request"][0]
        wrapped = rtc.WrappedJoinRequest.FromString(base64.urlsafe_b64decode(packed))
        joined = rtc.JoinRequest.FromString(wrapped.join_request)
        await self.say(socket, join=rtc.JoinResponse(ping_interval=5, ping_timeout=15))
        member: Member | None = None
        with contextlib.suppress(ConnectionClosed):
            if joined.publisher_offer.sdp:
                member = await self.answer(socket, joined.publisher_offer)
            async for message in socket:
                request = rtc.SignalRequest.FromString(cast(bytes, message))
                if request.HasField("add_track"):
                    track = models.TrackInfo(sid="TR_" + secrets.token_hex(6))
                    published = rtc.TrackPublishedResponse(cid=request.add_track.cid, track=track)
                    await self.say(socket, track_published=published)
                elif request.HasField("offer") and member is None:
                    member = await self.answer(socket, request.offer)
                elif request.HasField("leave"):
                    break
        if member is not None:
            self.members.pop(member.ufrag, None)
            for address in [at for at, way in self.ways.items() if way.member is member]:
                del self.ways[address]

    async def say(self, socket: ServerConnection, **message: Any) -> None:
        await socket.send(rtc.SignalResponse(**message).SerializeToString())

    async def answer(
        self, socket: ServerConnection, description: rtc.SessionDescription
    ) -> Member | None:
        """Take the offer, or end the session."""
        sdp = description.sdp
        announced = [
            f"{name.lower()} {value.upper()}"
            for name, value in re.findall(r"^a=fingerprint:(\S+) (\S+)", sdp, re.MULTILINE)
        ]
        known = [one for one in announced if one.split(" ")[0] in self.strength.digests]
        too_many = len(announced) > 1 and not self.strength.several_fingerprints
        if too_many or (self.strength.fingerprint_required and not known):
            await self.leave(socket)
            return None
        peer = Peer(self.strength, self.context, announced)
        peer.ssrcs = {int(one) for one in re.findall(r"^a=ssrc:(\d+)", sdp, re.MULTILINE)}
        (client, *_) = re.findall(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE)
        (theirs, *_) = re.findall(r"^a=ice-pwd:(\S+)", sdp, re.MULTILINE)
        ours = secrets.token_hex(4), secrets.token_hex(16)
        member = Member(socket, *ours, theirs=theirs, client=client, peer=peer)
        self.members[member.ufrag] = member
        if self.strength.sessions:
            self.kept.append(peer)
        certificate = (
            server_certificate(self.strength.keys[0])[0]
            if self.strength.own_fingerprint
            else identity(number=99).certificate
        )
        text = (
            f"v=0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=setup:passive\r\n"
            f"a=ice-ufrag:{member.ufrag}\r\na=ice-pwd:{member.password}\r\n"
            f"a=fingerprint:{fingerprint(certificate)}\r\n"
            f"a=candidate:1 1 udp 2130706431 127.0.0.1 {self.port} typ host\r\n"
        )
        answer = rtc.SessionDescription(type="answer", sdp=text, id=description.id)
        await self.say(socket, answer=answer)
        return member

    async def leave(self, socket: ServerConnection) -> None:
        reason = models.DisconnectReason.JOIN_FAILURE
        with contextlib.suppress(ConnectionClosed):
            await self.say(socket, leave=rtc.LeaveRequest(reason=reason))

    # --- media port -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: Address) -> None:
        way = self.ways.get(address)
        if way is not None:
            way.received += len(data)
        if data[0] < 4:
            self.take_stun(data, address)
        elif way is None:
            if not self.strength.bound_only and 20 <= data[0] <= 63:
                for datagram in Peer(self.strength, self.context, []).take(data):
                    self.transport.sendto(datagram, address)
        elif 20 <= data[0] <= 63:
            self.take_dtls(way, data, address)
        elif data[0] >> 6 == 2:
            self.take_media(way.member, data)
        if way is not None:
            self.release(way, address)

    def take_stun(self, data: bytes, address: Address) -> None:
        message = stun.parse_message(data)
        if message.message_class != stun.Class.REQUEST:
            way = self.ways.get(address)
            if way is not None and message.transaction_id in way.asked:
                way.proven = True
            return
        member = self.members.get(message.attributes["USERNAME"].split(":")[0])
        if member is None:
            return
        if self.strength.passwords and not message.check_message_integrity(
            member.password.encode()
        ):
            return
        way = self.ways.get(address)
        if way is None or (way.member is not member and not self.strength.keeps_addresses):
            way = self.ways[address] = Way(member, received=len(data))
            member.address = address
            self.ask(way, address)
        elif way.member is not member:
            return
        reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        reply.attributes["XOR-MAPPED-ADDRESS"] = address
        reply.add_message_integrity(member.password.encode())
        self.put(way, bytes(reply), address)

    def ask(self, way: Way, address: Address) -> None:
        """A Binding request of our own."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{way.member.client}:{way.member.ufrag}"
        message.add_message_integrity(way.member.theirs.encode())
        way.asked.add(message.transaction_id)
        self.put(way, bytes(message), address)

    def take_dtls(self, way: Way, data: bytes, address: Address) -> None:
        member = way.member
        try:
            outgoing = member.peer.take(data)
        except Refused:
            member.peer.over = True
            self.put(way, ALERT, address)
            asyncio.get_running_loop().create_task(self.leave(member.socket))
            return
        for datagram in outgoing:
            self.put(way, datagram, address)

    def put(self, way: Way, data: bytes, address: Address) -> None:
        """Send, or keep what an unproven address has not earned."""
        way.held.append(data)
        self.release(way, address)

    def release(self, way: Way, address: Address) -> None:
        while way.held:
            size = len(way.held[0])
            if not way.proven and way.sent + size > self.strength.factor * way.received:
                return
            way.sent += size
            self.transport.sendto(way.held.pop(0), address)

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for address, way in list(self.ways.items()):
                timer = way.member.peer.connection.DTLSv1_get_timeout()
                if timer is not None and timer <= TICK:
                    for datagram in way.member.peer.again():
                        self.put(way, datagram, address)

    # --- media ----------------------------------------------------------------------------------

    def take_media(self, member: Member, data: bytes) -> None:
        others = [one for one in self.members.values() if one is not member]
        if 192 <= data[1] <= 223:
            self.take_control(member, data, others)
            return
        plain = member.peer.opened(data, [one.peer for one in others])
        if plain is None or not self.strength.forwards:
            return
        ssrc = int.from_bytes(plain[8:12], "big")
        if ssrc not in member.peer.ssrcs and not self.strength.any_ssrc:
            return
        for other in others:
            self.forward(other, other.peer.sealed(plain))

    def take_control(self, member: Member, data: bytes, others: list[Member]) -> None:
        """A key frame request goes on to whoever sends."""
        plain = member.peer.opened_control(data)
        if plain is None or not _asks_for_key_frame(plain):
            return
        for other in others:
            self.forward(other, other.peer.sealed_control(plain))

    def forward(self, member: Member, data: bytes | None) -> None:
        if data is not None and member.address is not None:
            self.transport.sendto(data, member.address)


def _asks_for_key_frame(compound: bytes) -> bool:
    while len(compound) >= 4:
        if compound[1] == 206:
            return True
        compound = compound[4 + 4 * int.from_bytes(compound[2:4], "big") :]
    return False
