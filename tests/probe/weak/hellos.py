"""The test's server with one weakness in how it reads a ClientHello, or answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from sfu.probe.crafter import codes
from sfu.probe.crafter.answers import ServerHello
from sfu.probe.crafter.extensions import use_srtp
from sfu.probe.crafter.fragments import Fragment, datagrams, told
from sfu.probe.crafter.hello import dtls12
from sfu.probe.crafter.odd import ODD
from sfu.probe.crafter.records import read_records
from sfu.probe.crafter.vectors import Malformed, Reader, numbers, vector
from tests.probe.weak.node import Address, Way, WeakNode
from tests.probe.weak.peer import ALERT
from tests.probe.weak.strength import Strength

_RANDOM = slice(13 + 12 + 2, 13 + 12 + 2 + 32)  # of a hello that begins a datagram
_FLOOD = 100  # alerts

Pieces = Literal["any", "whole", "ordered", "disjoint"]


@dataclass(frozen=True)
class Weakness:
    """Every field left alone is sound."""

    pieces: Pieces = "any"  # which fragments of a hello are put together
    believes_lengths: bool = False  # of each fragment, whatever the first one said
    largest: int = 1 << 24  # bytes of a hello that is read
    invents_mki: bytes = b""  # and answers with it, when a client says one of its own
    takes_null: bool = False  # profiles of SRTP, before all others
    forgives: str = ""  # an odd hello, by its name: taken for a sound one
    floods_at: str = ""
    dies_of: str = ""


@dataclass
class _Begun:
    """A hello that is coming in."""

    total: int
    filled: set[int] = field(default_factory=set)
    spoilt: bool = False


class HelloNode(WeakNode):
    """A `WeakNode` between whose socket and OpenSSL a careless reader sits."""

    def __init__(self, strength: Strength) -> None:
        super().__init__(strength)
        self.weakness = Weakness()
        self._begun: dict[str, _Begun] = {}
        self._offers: dict[str, tuple[tuple[int, ...], bytes]] = {}  # use_srtp of each member
        self._dead = False

    @classmethod
    @asynccontextmanager
    async def weakened(
        cls, weakness: Weakness, strength: Strength | None = None
    ) -> AsyncIterator[HelloNode]:
        """Running, for the time of the block."""
        async with cls.running(strength or Strength()) as node:
            assert isinstance(node, HelloNode)
            node.weakness = weakness
            yield node

    def take_dtls(self, way: Way, data: bytes, address: Address) -> None:
        weakness = self.weakness
        self._dead = self._dead or _is_odd(data, weakness.dies_of)
        if self._dead:
            return
        if _is_odd(data, weakness.floods_at):
            for _ in range(_FLOOD):
                self.put(way, ALERT, address)
            return
        forgiven = _is_odd(data, weakness.forgives)
        for each in told(dtls12().body()) if forgiven else self._read(way, data):
            super().take_dtls(way, each, address)

    def put(self, way: Way, data: bytes, address: Address) -> None:
        if data[:1] == bytes([codes.HANDSHAKE]) and data[13:14] == bytes([codes.SERVER_HELLO]):
            data = self._answered(way.member.ufrag, data)
        super().put(way, data, address)

    def _read(self, way: Way, data: bytes) -> list[bytes]:
        """What of a datagram this server reads."""
        first_hello = data[0] == codes.HANDSHAKE and data[3:5] == b"\0\0"
        if not first_hello or data[13:14] != bytes([codes.CLIENT_HELLO]):
            return [data]
        try:
            fragments = list(_fragments(data))
        except Malformed:
            return [data]
        if (offer := _srtp_offer(fragments[0])) is not None:
            self._offers[way.member.ufrag] = offer
        begun = self._begun.setdefault(way.member.ufrag, _Begun(fragments[0].total))
        if not all(self._takes(begun, each) for each in fragments):
            return []
        return self._believed(begun, data) if self.weakness.believes_lengths else [data]

    def _takes(self, begun: _Begun, fragment: Fragment) -> bool:
        weakness = self.weakness
        span = set(range(fragment.offset, fragment.offset + len(fragment.data)))
        match weakness.pieces:
            case "whole":
                taken = len(span) == fragment.total
            case "ordered":
                taken = fragment.offset <= len(begun.filled)
            case "disjoint":
                begun.spoilt = begun.spoilt or bool(span & begun.filled)
                taken = not begun.spoilt
            case "any":
                taken = True
        begun.filled |= span if taken else set()
        return taken and fragment.total <= weakness.largest

    def _believed(self, begun: _Begun, data: bytes) -> list[bytes]:
        """As if every fragment had stated the length of the first."""
        first = next(read_records(data)).sequence
        return datagrams((replace(one, total=begun.total) for one in _fragments(data)), first=first)

    def _answered(self, ufrag: str, record: bytes) -> bytes:
        """The ServerHello, with another choice of SRTP where this server makes one."""
        profiles, mki = self._offers.get(ufrag, ((), b""))
        nulls = [one for one in profiles if one in (0x0005, 0x0006)]
        hello = ServerHello.parse(record[13 + 12 :])
        chosen = hello.srtp.profile if hello.srtp else 0
        if self.weakness.takes_null and nulls:
            return _with_srtp(record, hello, nulls[0], b"")
        if self.weakness.invents_mki and mki:
            return _with_srtp(record, hello, chosen, self.weakness.invents_mki)
        return record


def _with_srtp(record: bytes, hello: ServerHello, profile: int, mki: bytes) -> bytes:
    """The same ServerHello but for that choice. No handshake ends well after it, nor need it."""
    chosen = {**hello.extensions, codes.USE_SRTP: use_srtp(profile, mki=mki).content}
    listed = b"".join(numbers((kind,)) + vector(content, 2) for kind, content in chosen.items())
    body = (
        numbers((hello.legacy_version,))
        + hello.random
        + vector(hello.session_id, 1)
        + numbers((hello.suite,))
        + bytes([hello.compression])
        + vector(listed, 2)
    )
    message = int.from_bytes(record[17:19], "big")
    fragment = Fragment(codes.SERVER_HELLO, len(body), 0, body, message)
    (changed,) = datagrams([fragment], first=int.from_bytes(record[5:11], "big"))
    return changed


def _fragments(datagram: bytes) -> Iterator[Fragment]:
    for record in read_records(datagram):
        reader = Reader(record.payload, "record")
        while reader.left:
            kind, total, message = reader.number(1), reader.number(3), reader.number(2)
            offset, data = reader.number(3), reader.vector(3)
            yield Fragment(kind, total, offset, data, message)


def _srtp_offer(fragment: Fragment) -> tuple[tuple[int, ...], bytes] | None:
    """The profiles and MKI of a hello in one piece."""
    reader = Reader(fragment.data, "hello")
    try:
        reader.take(34)
        for width in (1, 1, 2, 1):
            reader.vector(width)
        extensions = Reader(reader.vector(2), "extensions")
        while extensions.left:
            kind, content = extensions.number(2), Reader(extensions.vector(2), "use_srtp")
            if kind == codes.USE_SRTP:
                return content.numbers(2), content.vector(1)
    except Malformed:
        return None
    return None


def _is_odd(datagram: bytes, name: str) -> bool:
    """It is the first datagram of that odd hello, but for its random."""
    return bool(name) and _masked(datagram) == _masked(ODD[name].make()[0])


def _masked(datagram: bytes) -> bytes:
    head, tail = datagram[: _RANDOM.start], datagram[_RANDOM.stop :]
    return head + tail
