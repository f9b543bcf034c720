"""What a server says before encryption starts, taken apart. Each `parse` raises `Malformed`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sfu.probe.crafter import codes
from sfu.probe.crafter.vectors import Malformed, Reader
from sfu.probe.names import ALERTS, named

# The "random" that makes a ServerHello a HelloRetryRequest (RFC 8446 section 4.1.3).
RETRY_RANDOM: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
_NAMED_CURVE: Final = 3  # RFC 8422 section 5.4
_WARNING, _FATAL = 1, 2


@dataclass(frozen=True, slots=True)
class UseSrtp:
    """The server's choice (RFC 5764 section 4.1.1)."""

    profile: int
    mki: bytes


@dataclass(frozen=True, slots=True)
class ServerHello:
    """Also a HelloRetryRequest, which differs by its random alone (RFC 8446 section 4.1.3)."""

    legacy_version: int
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: Mapping[int, bytes]

    @classmethod
    def parse(cls, body: bytes) -> ServerHello:
        reader = Reader(body, "ServerHello")
        version, random = reader.number(2), reader.take(32)
        session_id, suite, compression = reader.vector(1), reader.number(2), reader.number(1)
        extensions = _extensions(reader.vector(2)) if reader.left else {}
        reader.end()
        return cls(version, random, session_id, suite, compression, extensions)

    @property
    def version(self) -> int:
        """What was chosen: `supported_versions` stands above the old field (RFC 8446 4.2.1)."""
        content = self.extensions.get(codes.SUPPORTED_VERSIONS)
        if content is None:
            return self.legacy_version
        reader = Reader(content, "choice of version")
        version = reader.number(2)
        reader.end()
        return version

    @property
    def retry(self) -> bool:
        """It is a HelloRetryRequest."""
        return self.random == RETRY_RANDOM

    @property
    def cookie(self) -> bytes | None:
        """What a HelloRetryRequest wants back (RFC 8446 section 4.2.2)."""
        content = self.extensions.get(codes.COOKIE)
        return None if content is None else Reader(content, "cookie").vector(2)

    @property
    def extended_master_secret(self) -> bool:
        """It was agreed on (RFC 7627 section 5.1)."""
        return codes.EXTENDED_MASTER_SECRET in self.extensions

    @property
    def ticket(self) -> bool:
        """It will send a session ticket (RFC 5077 section 3.2)."""
        return codes.SESSION_TICKET in self.extensions

    @property
    def srtp(self) -> UseSrtp | None:
        """Raises `Malformed` unless exactly one profile was chosen."""
        content = self.extensions.get(codes.USE_SRTP)
        if content is None:
            return None
        reader = Reader(content, "use_srtp")
        profiles, mki = reader.numbers(2), reader.vector(1)
        reader.end()
        if len(profiles) != 1:
            raise Malformed("srtp_choice", "The server chose not one SRTP profile, but several.")
        return UseSrtp(profiles[0], mki)


@dataclass(frozen=True, slots=True)
class HelloVerifyRequest:
    """A cookie to be said back in a second hello (RFC 6347 section 4.2.1)."""

    version: int
    cookie: bytes

    @classmethod
    def parse(cls, body: bytes) -> HelloVerifyRequest:
        reader = Reader(body, "HelloVerifyRequest")
        parsed = cls(reader.number(2), reader.vector(1))
        reader.end()
        return parsed


@dataclass(frozen=True, slots=True)
class CertificateChain:
    """DER, the server's own first (RFC 5246 section 7.4.2)."""

    certificates: tuple[bytes, ...]

    @classmethod
    def parse(cls, body: bytes) -> CertificateChain:
        reader = Reader(body, "Certificate")
        inner = Reader(reader.vector(3), "Certificate")
        reader.end()
        found = []
        while inner.left:
            found.append(inner.vector(3))
        return cls(tuple(found))


@dataclass(frozen=True, slots=True)
class ServerKeyExchange:
    """Of the ECDHE suites (RFC 8422 section 5.4)."""

    group: int
    public: bytes
    # RFC 5246 section 7.4.1.4.1's pair of hash and signature as one number; anonymous suites, which
    # sign nothing, have none.
    scheme: int | None
    signature: bytes

    @classmethod
    def parse(cls, body: bytes) -> ServerKeyExchange:
        reader = Reader(body, "ServerKeyExchange")
        if reader.number(1) != _NAMED_CURVE:
            raise Malformed("curve", "The server's key exchange is on no named curve.")
        group, public = reader.number(2), reader.vector(1)
        scheme, signature = (reader.number(2), reader.vector(2)) if reader.left else (None, b"")
        reader.end()
        return cls(group, public, scheme, signature)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """The client shall show a certificate (RFC 5246 section 7.4.4)."""

    types: bytes
    schemes: tuple[int, ...]

    @classmethod
    def parse(cls, body: bytes) -> CertificateRequest:
        reader = Reader(body, "CertificateRequest")
        parsed = cls(reader.vector(1), reader.numbers(2))
        reader.vector(2)  # names of authorities, which no WebRTC peer sends
        reader.end()
        return parsed


@dataclass(frozen=True, slots=True)
class NewSessionTicket:
    """RFC 5077 section 3.3."""

    lifetime: int  # seconds
    ticket: bytes

    @classmethod
    def parse(cls, body: bytes) -> NewSessionTicket:
        reader = Reader(body, "NewSessionTicket")
        parsed = cls(reader.number(4), reader.vector(2))
        reader.end()
        return parsed


@dataclass(frozen=True, slots=True)
class Alert:
    """RFC 5246 section 7.2."""

    level: int
    description: int

    @classmethod
    def parse(cls, payload: bytes) -> Alert:
        reader = Reader(payload, "alert")
        parsed = cls(reader.number(1), reader.number(1))
        reader.end()
        if parsed.level not in (_WARNING, _FATAL):
            raise Malformed("alert_level", "The server's alert has a level that does not exist.")
        return parsed

    @property
    def fatal(self) -> bool:
        return self.level == _FATAL

    def __str__(self) -> str:
        return named(ALERTS, self.description)


Answer = (
    ServerHello
    | HelloVerifyRequest
    | NewSessionTicket
    | CertificateChain
    | ServerKeyExchange
    | CertificateRequest
)

PARSERS: Final[Mapping[int, Callable[[bytes], Answer]]] = {
    codes.SERVER_HELLO: ServerHello.parse,
    codes.HELLO_VERIFY_REQUEST: HelloVerifyRequest.parse,
    codes.NEW_SESSION_TICKET: NewSessionTicket.parse,
    codes.CERTIFICATE: CertificateChain.parse,
    codes.SERVER_KEY_EXCHANGE: ServerKeyExchange.parse,
    codes.CERTIFICATE_REQUEST: CertificateRequest.parse,
}


def _extensions(content: bytes) -> Mapping[int, bytes]:
    reader, found = Reader(content, "extensions"), dict[int, bytes]()
    while reader.left:
        kind, data = reader.number(2), reader.vector(2)
        if kind in found:
            raise Malformed("extension_twice", "The server sent an extension twice.")
        found[kind] = data
    return found
