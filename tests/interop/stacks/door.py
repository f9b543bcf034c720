"""A WHIP or WHEP door as its client sees it (RFC 9725), and what client programs here share.

Standard library only: the system's Python, which alone has GStreamer, runs it too.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ANSWER_LIMIT = 1 << 20  # bytes
TIMEOUT = 20.0  # seconds


class ClosedDoorError(Exception):
    """The door refused; the message is its status and its own words."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a door opened."""

    url: str
    answer: str = field(repr=False)
    token: str = field(repr=False)

    @classmethod
    def opened(cls, door: str, token: str, offer: str) -> Session:
        """Post the offer; raises `ClosedDoorError`."""
        request = urllib.request.Request(door, offer.encode(), method="POST")
        request.add_header("Content-Type", "application/sdp")
        request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                if response.status != 201:
                    raise ClosedDoorError(f"{response.status} instead of 201")
                answer = response.read(ANSWER_LIMIT).decode()
                location = response.headers["Location"]
        except urllib.error.HTTPError as refusal:
            words = refusal.read(ANSWER_LIMIT).decode(errors="replace")
            raise ClosedDoorError(f"{refusal.code}: {words}") from None
        say("answered")
        return cls(urllib.parse.urljoin(door, location), answer, token)

    def leave(self) -> None:
        """End the session; the event tells how the door answered."""
        request = urllib.request.Request(self.url, method="DELETE")
        request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                say("left", status=f"{response.status}")
        except OSError as error:  # HTTPError is one, too
            say("left", reason=str(error))


def say(event: str, **fields: str) -> None:
    """Tell the test, with one line of JSON."""
    line = json.dumps({"event": event, **fields})
    sys.stdout.write(f"{line}\n")  # in one piece: threads speak, too
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client program was started for."""

    sends: bool
    door: str
    token: str = field(repr=False)
    audio: Path
    video: Path
    out: Path
    seconds: float
    suite: str | None
    profile: str | None


def program(participate: Callable[[Wish], None]) -> None:
    """Be a client program: do what the command line wishes, and tell how it ended."""
    try:
        participate(_wish())
    except Exception as error:
        say("failed", reason=str(error))
        raise SystemExit(1) from error
    say("ended")


def _wish() -> Wish:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=("send", "receive"))
    parser.add_argument("--whip", help="the door to send to")
    parser.add_argument("--whep", help="the door to receive from")
    parser.add_argument("--token-file", type=Path, required=True, help="holds the bearer token")
    parser.add_argument("--audio", type=Path, default=Path(), help="Opus in Ogg, played in a loop")
    parser.add_argument("--video", type=Path, default=Path(), help="VP8 in IVF, played in a loop")
    parser.add_argument("--out", type=Path, default=Path(), help="where received files go")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to stay")
    parser.add_argument("--suite", help="the only DTLS cipher suite to offer")
    parser.add_argument("--profile", help="the only SRTP profile to offer")
    given = parser.parse_args()
    door = given.whip if given.way == "send" else given.whep
    if door is None:
        parser.error("no door")
    return Wish(
        sends=given.way == "send",
        door=door,
        token=given.token_file.read_text().strip(),
        audio=given.audio,
        video=given.video,
        out=given.out,
        seconds=given.seconds,
        suite=given.suite,
        profile=given.profile,
    )
