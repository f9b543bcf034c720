"""What a DTLS 1.2 server says before encryption begins, read from its datagrams (RFC 6347).

Nothing here trusts the server: lengths are checked, what is malformed is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sfu.probe.names import ALERTS, GROUPS, SIGNATURES, named

_HANDSHAKE: Final = 22
_ALERT: Final = 21
_HEADER: Final = 13
_MESSAGE_HEADER: Final = 12
_MAX_MESSAGE: Final = 65536  # bytes; a chain of certificates is a few thousand
_MAX_MESSAGES: Final = 16  # a server's flight has six at most

_HELLO_VERIFY_REQUEST: Final = 3
_SERVER_HELLO: Final = 2
_NEW_SESSION_TICKET: Final = 4
_CERTIFICATE: Final = 11
_SERVER_KEY_EXCHANGE: Final = 12
_CERTIFICATE_REQUEST: Final = 13
_NAMED_CURVE: Final = 3


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The server's choice."""

    version: int
    session: bytes
    suite: int
    compression: int
    extensions: dict[int, bytes]


@dataclass(slots=True)
class _Partial:
    total: int
    data: bytearray
    have: set[int] = field(default_factory=set)


class Flight:
    """Collects the server's plaintext messages; each attribute is None until it was seen."""

    def __init__(self) -> None:
        self.hello: ServerHello | None = None
        self.cookie: bytes | None = None  # of a HelloVerifyRequest
        self.certificate: bytes | None = None  # DER, the server's own
        self.group: str | None = None  # of its ServerKeyExchange
        self.signature: str | None = None  # of its ServerKeyExchange
        self.asked_signatures: tuple[str, ...] | None = None  # of its CertificateRequest
        self.ticket: bytes | None = None  # a NewSessionTicket's
        self.alert: str | None = None  # the first plaintext one
        self._partial: dict[tuple[int, int], _Partial] = {}
        self._read: set[tuple[int, int]] = set()

    def feed(self, datagram: bytes) -> None:
        """Read all plaintext records of one datagram."""
        while len(datagram) >= _HEADER:
            kind, epoch = datagram[0], int.from_bytes(datagram[3:5], "big")
            length = int.from_bytes(datagram[11:13], "big")
            body = datagram[_HEADER : _HEADER + length]
            if epoch == 0 and kind == _HANDSHAKE:
                self._fragments(body)
            elif epoch == 0 and kind == _ALERT and len(body) == 2 and self.alert is None:
                self.alert = named(ALERTS, body[1])
            datagram = datagram[_HEADER + length :]

    def _fragments(self, record: bytes) -> None:
        while len(record) >= _MESSAGE_HEADER:
            kind, total = record[0], int.from_bytes(record[1:4], "big")
            sequence = int.from_bytes(record[4:6], "big")
            offset = int.from_bytes(record[6:9], "big")
            length = int.from_bytes(record[9:12], "big")
            part = record[_MESSAGE_HEADER : _MESSAGE_HEADER + length]
            record = record[_MESSAGE_HEADER + length :]
            key = (sequence, kind)
            if total > _MAX_MESSAGE or offset + len(part) > total or key in self._read:
                continue
            if key not in self._partial and len(self._partial) >= _MAX_MESSAGES:
                continue
            partial = self._partial.setdefault(key, _Partial(total, bytearray(total)))
            if partial.total != total:
                continue
            partial.data[offset : offset + len(part)] = part
            partial.have.update(range(offset, offset + len(part)))
            if len(partial.have) == total:
                del self._partial[key]
                self._read.add(key)
                self._message(kind, bytes(partial.data))

    def _message(self, kind: int, body: bytes) -> None:
        reader = _READERS.get(kind)
        if reader is not None:
            try:
                reader(self, body)
            except (IndexError, ValueError):
                return  # a malformed message tells nothing; the handshake will end over it

    def _read_hello(self, body: bytes) -> None:
        version, rest = int.from_bytes(body[:2], "big"), body[34:]
        session, rest = vector(rest, 1)
        suite, compression, rest = int.from_bytes(rest[:2], "big"), rest[2], rest[3:]
        extensions: dict[int, bytes] = {}
        listed = vector(rest, 2)[0] if rest else b""
        while listed:
            number = int.from_bytes(listed[:2], "big")
            extensions[number], listed = vector(listed[2:], 2)
        self.hello = ServerHello(version, session, suite, compression, extensions)

    def _read_verify(self, body: bytes) -> None:
        self.cookie = vector(body[2:], 1)[0]

    def _read_certificate(self, body: bytes) -> None:
        self.certificate = vector(vector(body, 3)[0], 3)[0]

    def _read_key_exchange(self, body: bytes) -> None:
        if body[0] != _NAMED_CURVE:
            self.group = "not an elliptic curve by name"
            return
        self.group = named(GROUPS, int.from_bytes(body[1:3], "big"))
        _point, rest = vector(body[3:], 1)
        if len(rest) >= 2:  # anonymous suites sign nothing
            self.signature = named(SIGNATURES, int.from_bytes(rest[:2], "big"))

    def _read_request(self, body: bytes) -> None:
        _types, rest = vector(body, 1)
        numbers, _ = vector(rest, 2)
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        self.asked_signatures = tuple(named(SIGNATURES, a << 8 | b) for a, b in pairs)

    def _read_ticket(self, body: bytes) -> None:
        self.ticket = vector(body[4:], 2)[0]


_READERS: Final = {
    _SERVER_HELLO: Flight._read_hello,
    _HELLO_VERIFY_REQUEST: Flight._read_verify,
    _CERTIFICATE: Flight._read_certificate,
    _SERVER_KEY_EXCHANGE: Flight._read_key_exchange,
    _CERTIFICATE_REQUEST: Flight._read_request,
    _NEW_SESSION_TICKET: Flight._read_ticket,
}


def vector(data: bytes, width: int) -> tuple[bytes, bytes]:
    """A length-prefixed vector and what follows it (RFC 5246 section 4.3). Raises `ValueError`."""
    length = int.from_bytes(data[:width], "big")
    if len(data) < width + length:
        raise ValueError("a vector is cut short")
    return data[width : width + length], data[width + length :]
