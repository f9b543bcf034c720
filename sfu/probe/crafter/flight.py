"""A server's flight, put together from datagrams and read (RFC 6347 sections 4.2.3 and 4.2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from sfu.probe.crafter import codes
from sfu.probe.crafter.answers import PARSERS, Alert, Answer, ServerHello
from sfu.probe.crafter.records import Record, read_records
from sfu.probe.crafter.vectors import Malformed, Reader

# A certificate chain is the longest message of a flight; this is several times a real one.
MAX_MESSAGE: Final = 65536
# A flight of a full handshake has five; a server that goes on numbering is up to no good.
MAX_MESSAGES: Final = 32
_Kind = TypeVar("_Kind", bound=Answer)


@dataclass
class Flight:
    """What a server has said so far in the clear; repeated and unordered fragments are no matter.

    `feed` raises `Malformed` for what no server may send. Whoever feeds on regardless learns from
    what can be read.
    """

    alerts: list[Alert] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)  # in the order of their message_seq
    done: bool = False  # ServerHelloDone was read
    encrypted: bool = False  # something of a later epoch, or of DTLS 1.3's own record form, came
    datagrams: int = 0
    bytes_received: int = 0
    _partial: dict[int, _Message] = field(default_factory=dict)
    _next: int = 0  # the message_seq to read next; the first one is 0 (RFC 6347 section 4.2.2)

    def feed(self, datagram: bytes) -> None:
        """Take one datagram."""
        self.datagrams += 1
        self.bytes_received += len(datagram)
        read = 0
        for record in read_records(datagram):
            read += len(bytes(record))
            self._record(record)
        self.encrypted = self.encrypted or read < len(datagram)

    @property
    def hello(self) -> ServerHello | None:
        """The ServerHello that is no HelloRetryRequest."""
        return next(
            (one for one in self.answers if isinstance(one, ServerHello) and not one.retry), None
        )

    def first(self, kind: type[_Kind]) -> _Kind | None:
        """The first answer of a kind."""
        return next((one for one in self.answers if isinstance(one, kind)), None)

    @property
    def refusal(self) -> Alert | None:
        """The first fatal alert."""
        return next((alert for alert in self.alerts if alert.fatal), None)

    def _record(self, record: Record) -> None:
        if record.epoch != 0:
            self.encrypted = True
        elif record.kind == codes.ALERT:
            self.alerts.append(Alert.parse(record.payload))
        elif record.kind == codes.HANDSHAKE:
            reader = Reader(record.payload, "handshake record")
            while reader.left:
                self._fragment(reader)
            self._advance()

    def _fragment(self, reader: Reader) -> None:
        kind, total, number = reader.number(1), reader.number(3), reader.number(2)
        offset, data = reader.number(3), reader.vector(3)
        if total > MAX_MESSAGE or offset + len(data) > total:
            raise Malformed("fragment", "A fragment of the server lies outside its message.")
        if number >= MAX_MESSAGES:
            raise Malformed("message_number", "The server numbers its messages too high.")
        message = self._partial.setdefault(number, _Message(kind, total))
        message.fill(kind, total, offset, data)

    def _advance(self) -> None:
        """Read what is complete, in order."""
        while self._next in self._partial and self._partial[self._next].complete:
            message = self._partial[self._next]
            self._next += 1
            parse = PARSERS.get(message.kind)
            if parse is not None:
                self.answers.append(parse(bytes(message.body)))
            self.done = self.done or message.kind == codes.SERVER_HELLO_DONE


class _Message:
    """One handshake message as far as it came."""

    def __init__(self, kind: int, total: int) -> None:
        self.kind = kind
        self.body = bytearray(total)
        self._filled = bytearray(total)

    @property
    def complete(self) -> bool:
        return all(self._filled)

    def fill(self, kind: int, total: int, offset: int, data: bytes) -> None:
        if (kind, total) != (self.kind, len(self.body)):
            raise Malformed("fragments_differ", "The server's fragments contradict each other.")
        end = offset + len(data)
        kept = bytes(
            old if have else new
            for old, have, new in zip(
                self.body[offset:end], self._filled[offset:end], data, strict=True
            )
        )
        if kept != data:
            raise Malformed("fragments_differ", "The server's fragments contradict each other.")
        self.body[offset:end] = data
        self._filled[offset:end] = b"\1" * len(data)
