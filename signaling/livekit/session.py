"""One signalling session as a state machine: which message may come when, and what is overdue.

    OPENING --opened--> OPEN --ended--> OVER
       \\---------ended------------------^

Frames come in as bytes, what they mean goes out as a value: `Accepted`, `Unserved` or `Fault`.
Nothing here has an effect. All times are monotonic seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from signaling.domain.allowance import Allowance
from signaling.domain.people import Departure
from signaling.livekit.messages import PING_TIMEOUT

MAX_FRAME = 1024 * 1024
"""Bytes of one message: room for the largest metadata with its attributes."""
JOIN_SECONDS = 60.0
"""From the join to a working transport, as LiveKit has it."""
GOODBYE_SECONDS = 2.0
"""From the end of a transport to the Leave that should come with it, on a path of its own."""
MAX_FAULTS = 20
"""Answerable mistakes of one session before it is ended."""
RATE = 100.0
BURST = 1_000.0
"""Messages per second, and at once: an honest join with trickled candidates needs about fifty."""
BYTES_RATE = 128 * 1024.0
BYTES_BURST = 8 * 1024 * 1024.0
"""Bytes of messages per second, and at once. Reading the largest description costs the event loop
a fifth of a second. Sixty people with cameras who come within half a minute make an honest browser
send 11 MiB of ever longer offers.
"""
DESCRIPTIONS_RATE = 10.0
DESCRIPTIONS_BURST = 20.0
"""Offers and answers per second, and at once: one goes per round trip and per change of the room.
"""

CHANGES_RATE = 10.0
CHANGES_BURST = 200.0
CHANGE_UNIT = 16 * 1024
"""Changes per second, and at once, of what everybody is told about a participant. One counts once
more for each full unit of bytes of its words, since those are told again with it: at once never
more than the 4 MiB that a reader may fall behind.
"""
CHANGES = frozenset({"mute", "update_metadata", "update_audio_track", "update_video_track"})


class Phase(enum.StrEnum):
    OPENING = "opening"
    OPEN = "open"
    OVER = "over"


class Turn(enum.StrEnum):
    OPENED = "opened"
    ENDED = "ended"


PHASES: dict[tuple[Phase, Turn], Phase] = {
    (Phase.OPENING, Turn.OPENED): Phase.OPEN,
    (Phase.OPENING, Turn.ENDED): Phase.OVER,
    (Phase.OPEN, Turn.ENDED): Phase.OVER,
}


class Treatment(enum.StrEnum):
    """What becomes of a message that is understood."""

    SERVED = "served"
    SILENT = "silent"  # understood, and rightly without effect here
    DUAL = "dual"  # served where we are the offerer, illegal elsewhere
    ILLEGAL = "illegal"
    UNSERVED = "unserved"  # counted
    REFUSED = "refused"  # counted, and answered


TREATMENTS: dict[str, Treatment] = {
    "offer": Treatment.SERVED,
    "answer": Treatment.DUAL,
    "trickle": Treatment.SILENT,  # ICE-lite: their checks teach us their addresses
    "add_track": Treatment.SERVED,
    "mute": Treatment.SERVED,
    "subscription": Treatment.SERVED,
    "track_setting": Treatment.SILENT,  # a hint; layers are not chosen per subscriber yet
    "leave": Treatment.SERVED,
    "update_layers": Treatment.UNSERVED,
    "subscription_permission": Treatment.SERVED,
    "sync_state": Treatment.ILLEGAL,  # belongs to a resumed session
    "simulate": Treatment.UNSERVED,
    "ping": Treatment.SERVED,
    "update_metadata": Treatment.SERVED,
    "ping_req": Treatment.SERVED,
    "update_audio_track": Treatment.SERVED,
    "update_video_track": Treatment.SERVED,
    "publish_data_track_request": Treatment.REFUSED,
    "unpublish_data_track_request": Treatment.REFUSED,
    "update_data_subscription": Treatment.UNSERVED,
    "store_data_blob_request": Treatment.REFUSED,
    "get_data_blob_request": Treatment.REFUSED,
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message to be served; `kind` is its name in SignalRequest."""

    kind: str
    request: rtc.SignalRequest


@dataclass(frozen=True, slots=True)
class Unserved:
    """A message nobody serves; `answer` when the protocol can say so."""

    kind: str
    request: rtc.SignalRequest
    answer: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """The client's mistake; a fatal one ends the session."""

    code: str
    sentence: str
    fatal: bool


class IllegalTurn(Exception):
    """Our own mistake: the session's phase does not allow that."""


class Session:
    """Owns phase, allowance and deadlines of one WebSocket."""

    def __init__(self, *, dual: bool, now: float) -> None:
        self._dual = dual
        self._phase = Phase.OPENING
        self._heard_at = now
        self._active_by: float | None = now + JOIN_SECONDS
        self._messages = Allowance(rate=RATE, burst=BURST, now=now)
        self._bytes = Allowance(rate=BYTES_RATE, burst=BYTES_BURST, now=now)
        self._descriptions = Allowance(rate=DESCRIPTIONS_RATE, burst=DESCRIPTIONS_BURST, now=now)
        self._goodbye_by: float | None = None
        self._changes = Allowance(rate=CHANGES_RATE, burst=CHANGES_BURST, now=now)
        self._faults = 0

    @property
    def phase(self) -> Phase:
        return self._phase

    def turn(self, turn: Turn) -> None:
        """Raises `IllegalTurn`."""
        try:
            self._phase = PHASES[self._phase, turn]
        except KeyError:
            raise IllegalTurn(f"{turn} while {self._phase}") from None

    def active(self) -> None:
        """The primary transport is up."""
        self._active_by = None

    def expect_goodbye(self, now: float) -> None:
        """The client closed a transport."""
        if self._goodbye_by is None:
            self._goodbye_by = now + GOODBYE_SECONDS

    def deadline(self) -> float:
        """When :meth:`overdue` is worth asking next."""
        due = (self._heard_at + PING_TIMEOUT, self._active_by, self._goodbye_by)
        return min(each for each in due if each is not None)

    def overdue(self, now: float) -> Departure | None:
        """Why the session is over by `now`, if it is."""
        if now >= self._heard_at + PING_TIMEOUT:
            return Departure.SIGNAL_TIMEOUT
        if self._active_by is not None and now >= self._active_by:
            return Departure.JOIN_FAILURE
        if self._goodbye_by is not None and now >= self._goodbye_by:
            return Departure.MEDIA_FAILURE
        return None

    def receive(self, frame: bytes | str, now: float) -> Accepted | Unserved | Fault | None:
        """What a frame means; None for nothing to do. After the end everything means nothing."""
        if self._phase is Phase.OVER:
            return None
        self._heard_at = max(self._heard_at, now)
        if not self._messages.spend(1, now):
            return Fault("too_many_messages", "Messages come too fast.", fatal=True)
        if isinstance(frame, str):
            return Fault("text_frame", "Only binary messages are spoken here.", fatal=True)
        if len(frame) > MAX_FRAME:
            return Fault("frame_too_large", "The message is too large.", fatal=True)
        if not self._bytes.spend(len(frame), now):
            return Fault("too_many_bytes", "Too much is said in too short a time.", fatal=True)
        request = rtc.SignalRequest()
        try:
            request.ParseFromString(frame)
        except DecodeError:
            return Fault("frame_malformed", "The message cannot be read.", fatal=True)
        describes = request.WhichOneof("message") in ("offer", "answer")
        if describes and not self._descriptions.spend(1, now):
            sentence = "Session descriptions come too fast."
            return Fault("too_many_descriptions", sentence, fatal=True)
        return self._judge(request)

    def change(self, words: int, now: float) -> Fault | None:
        """One of `CHANGES` by a participant whose words, new ones included, are so many bytes."""
        if self._changes.spend(1 + words // CHANGE_UNIT, now):
            return None
        return Fault("too_many_changes", "Too much is changed in too short a time.", fatal=True)

    def illegal(self, kind: str) -> Fault:
        """A message that is understood and may not come now; too many of them end the session."""
        self._faults += 1
        if self._faults > MAX_FAULTS:
            return Fault("too_many_faults", "Too many mistakes in one session.", fatal=True)
        return Fault("message_illegal_now", f"{kind} may not come now.", fatal=False)

    def _judge(self, request: rtc.SignalRequest) -> Accepted | Unserved | Fault | None:
        kind = request.WhichOneof("message")
        treatment = Treatment.UNSERVED if kind is None else TREATMENTS[kind]
        name = kind or "unknown"
        if treatment is Treatment.SILENT:
            return None
        if treatment in (Treatment.UNSERVED, Treatment.REFUSED):
            return Unserved(name, request, treatment is Treatment.REFUSED)
        if self._phase is Phase.OPENING or treatment is Treatment.ILLEGAL:
            return self.illegal(name)
        if treatment is Treatment.DUAL and not self._dual:
            return self.illegal(name)
        return Accepted(name, request)
