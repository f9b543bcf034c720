"""The fragment of a description that trickles candidates or restarts ICE (RFC 8840 section 9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfu.errors import SdpError
from sfu.sdp.attributes import Attributes, media_line
from sfu.sdp.parse import lines_of

MAX_FRAGMENT = 64 * 1024  # characters; a browser's longest is under 8 KB
MAX_FRAGMENT_LINES = 512


@dataclass(frozen=True, slots=True)
class Credentials:
    """A username fragment and its password (RFC 8445 section 5.3)."""

    ufrag: str
    password: str = field(repr=False)


def read_fragment(text: str) -> Credentials | None:
    """The credentials in an `application/trickle-ice-sdpfrag`, None where it names none.

    Candidates are passed over: a lite agent learns addresses from checks. Raises `SdpError`
    `fragment_malformed`.
    """
    if len(text) > MAX_FRAGMENT:
        raise _malformed("it is too long")
    try:
        found = _credentials(text)
    except SdpError as error:
        raise SdpError("fragment_malformed", error.sentence) from error
    if len(found) > 1:
        raise _malformed("it names more than one pair of credentials")
    return next(iter(found), None)


def _credentials(text: str) -> set[Credentials]:
    """Those of the session and of each section."""
    parts = [Attributes()]
    count = 0
    for letter, value in lines_of(text):
        count += 1
        if count > MAX_FRAGMENT_LINES:
            raise _malformed("it has too many lines")
        if letter == "m":
            media_line(value)
            parts.append(Attributes())
        elif letter == "a":
            parts[-1].read(value)
    if not count:
        raise _malformed("it is empty")
    found = set()
    for part in parts:
        if (part.ufrag is None) != (part.password is None):
            raise _malformed("it has half of a pair of credentials")
        if part.ufrag is not None and part.password is not None:
            found.add(Credentials(part.ufrag, part.password))
    return found


def _malformed(what: str) -> SdpError:
    return SdpError("fragment_malformed", f"The fragment cannot be read: {what}.")
