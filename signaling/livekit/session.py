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

from signaling.domain.people import Departure
from signaling.livekit.messages import PING_TIMEOUT

MAX_FRAME = 1024 * 1024
"""Bytes of one message: room for the largest metadata with its attributes."""
JOIN_SECONDS = 60.0
"""From the join to a working transport, as LiveKit has it."""
MAX_FAULTS = 20
"""Answerable mistakes of one session before it is ended."""
RATE = 100.0
BURST = 1_000.0
"""Messages per second, and at once: an honest join with trickled candidates needs about fifty."""


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
        self._allowance = BURST
        self._refilled_at = now
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

    def deadline(self) -> float:
        """When :meth:`overdue` is worth asking next."""
        silence = self._heard_at + PING_TIMEOUT
        return silence if self._active_by is None else min(silence, self._active_by)

    def overdue(self, now: float) -> Departure | None:
        """Why the session is over by `now`, if it is."""
        if now >= self._heard_at + PING_TIMEOUT:
            return Departure.SIGNAL_TIMEOUT
        if self._active_by is not None and now >= self._active_by:
            return Departure.JOIN_FAILURE
        return None

    def receive(self, frame: bytes | str, now: float) -> Accepted | Unserved | Fault | None:
        """What a frame means; None for nothing to do. After the end everything means nothing."""
        if self._phase is Phase.OVER:
            return None
        self._heard_at = max(self._heard_at, now)
        if not self._within_allowance(now):
            return Fault("too_many_messages", "Messages come too fast.", fatal=True)
        if isinstance(frame, str):
            return Fault("text_frame", "Only binary messages are spoken here.", fatal=True)
        if len(frame) > MAX_FRAME:
            return Fault("frame_too_large", "The message is too large.", fatal=True)
        request = rtc.SignalRequest()
        try:
            request.ParseFromString(frame)
        except DecodeError:
            return Fault("frame_malformed", "The message cannot be read.", fatal=True)
        return self._judge(request)

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

    def _within_allowance(self, now: float) -> bool:
        elapsed = max(0.0, now - self._refilled_at)
        self._allowance = min(BURST, self._allowance + elapsed * RATE)
        self._refilled_at = max(self._refilled_at, now)
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True
