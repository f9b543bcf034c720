"""Hellos that no client should send. What must come of each is nothing: no crash, no flood.

A server may answer with an alert or with silence (RFC 6347 section 4.1.2.7 asks for silence
where an alert would help a stranger deny service).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sfu.probe.crafter import codes, extensions
from sfu.probe.crafter.extensions import Extension
from sfu.probe.crafter.fragments import Fragment, cut, datagrams, whole
from sfu.probe.crafter.hello import ClientHello, dtls12
from sfu.probe.crafter.records import Record
from sfu.probe.crafter.vectors import numbers, vector

_SUITES_AT: Final = 2 + 32 + 1 + 1  # offset of the list's length in our hello, which has no session
_SIZE_60K: Final = 60_000
_PIECE: Final = 1100  # bytes of a fragment of the large hello


@dataclass(frozen=True, slots=True)
class Odd:
    """A hello, why it is wrong, and the datagrams that carry it."""

    wrong: str
    make: Callable[[], list[bytes]]


def _alone(body: bytes) -> list[bytes]:
    return datagrams([whole(body)])


def _of(hello: ClientHello) -> list[bytes]:
    return _alone(hello.body())


def _patched(at: int, value: int) -> list[bytes]:
    """With a 16-bit number in the place of another."""
    body = dtls12().body()
    return _alone(body[:at] + numbers((value,)) + body[at + 2 :])


def _extensions_overrun() -> list[bytes]:
    body = dtls12().body()
    at = len(dtls12().without_extensions().body())
    return _alone(body[:at] + numbers((0xFFFF,)) + body[at + 2 :])


def _extension_lies() -> list[bytes]:
    """The last extension says that it is longer than the list that it is in."""
    body = dtls12().body()
    last = len(dtls12().extensions[-1].content)
    at = len(body) - last - 2
    return _alone(body[:at] + numbers((0x4000,)) + body[at + 2 :])


def _groups_lie() -> list[bytes]:
    listed = Extension(codes.SUPPORTED_GROUPS, numbers((0xFFFE,)) + numbers((codes.X25519,)))
    return _of(dtls12().with_extension(listed))


def _twice() -> list[bytes]:
    hello = dtls12()
    return _of(replace(hello, extensions=[*hello.extensions, hello.extensions[0]]))


def _sixty_kilobytes() -> list[bytes]:
    hello = dtls12().with_extension(extensions.padding(_SIZE_60K))
    return datagrams(cut(hello.body(), _PIECE))


def _record_lies() -> list[bytes]:
    """The record ends before the length in its header."""
    (datagram,) = _of(dtls12())
    return [datagram[:11] + numbers((len(datagram) + 500,)) + datagram[13:]]


def _fragment_outside() -> list[bytes]:
    body = dtls12().body()
    return datagrams([Fragment(codes.CLIENT_HELLO, len(body), len(body) - 4, body[:100])])


def _fragment_longer() -> list[bytes]:
    body = dtls12().body()
    return datagrams([Fragment(codes.CLIENT_HELLO, len(body), 0, body, stated=len(body) + 300)])


def _sixteen_megabytes() -> list[bytes]:
    """A first fragment of a message as long as its header can say."""
    body = dtls12().body()
    return datagrams([Fragment(codes.CLIENT_HELLO, 0xFFFFFF, 0, body)])


def _far_message() -> list[bytes]:
    """A message_seq that leaves no room to number what is missing."""
    return datagrams([whole(dtls12().body(), message=0xFFFF)])


def _future_epoch() -> list[bytes]:
    payload = bytes(whole(dtls12().body()))
    return [bytes(Record(codes.HANDSHAKE, payload, epoch=0xFFFF))]


ODD: Final[Mapping[str, Odd]] = {
    "no-suites": Odd("a hello without suites", lambda: _of(replace(dtls12(), suites=()))),
    "odd-suites": Odd("a list of suites of odd length", lambda: _patched(_SUITES_AT, 3)),
    "suites-overrun": Odd(
        "a list of suites longer than the hello", lambda: _patched(_SUITES_AT, 0xFFFE)
    ),
    "no-compression": Odd(
        "a hello without the null compression",
        lambda: _of(replace(dtls12(), compressions=b"\1")),
    ),
    "session-id-33": Odd(
        "a session id of 33 bytes", lambda: _of(replace(dtls12(), session_id=bytes(33)))
    ),
    "extensions-overrun": Odd("extensions longer than the hello", _extensions_overrun),
    "extension-lies": Odd("an extension longer than their list", _extension_lies),
    "groups-lie": Odd("a list of groups longer than its extension", _groups_lie),
    "extension-twice": Odd("an extension said twice", _twice),
    "empty": Odd("an empty hello", lambda: _alone(b"")),
    "trailing": Odd("bytes behind the hello", lambda: _alone(dtls12().body() + vector(b"x", 2))),
    "60-kilobytes": Odd("a hello of 60 KB in 1.1 KB fragments", _sixty_kilobytes),
    "record-lies": Odd("a record shorter than it says", _record_lies),
    "fragment-outside": Odd("a fragment that ends behind its message", _fragment_outside),
    "fragment-longer": Odd("a fragment shorter than it says", _fragment_longer),
    "16-megabytes": Odd("the start of a hello of 16 MB", _sixteen_megabytes),
    "far-message": Odd("a first message numbered 65535", _far_message),
    "future-epoch": Odd("a hello in an epoch without keys", _future_epoch),
}
"""By the name that a row's id ends in."""
