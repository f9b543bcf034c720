"""What is said in Janus' API and its video room's, as plain values; nothing is sent in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.loadgen.sdp import Kind

PLUGIN: Final = "janus.plugin.videoroom"

Message = dict[str, Any]


class Refused(Exception):
    """Janus said no."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"Janus says {code}: {reason}")
        self.code = code


def create_room(room: int, kind: Kind, publishers: int) -> Message:
    """A room that asks for nothing by itself: no bitrate, no key frames, no events."""
    return {
        "request": "create",
        "room": room,
        "publishers": publishers,
        "bitrate": 0,
        "fir_freq": 0,
        "audiocodec": "opus",
        "videocodec": "vp8",
        "audiolevel_event": False,
        "notify_joining": False,
        "record": False,
        "description": f"bench, {kind}",
    }


def join_to_publish(room: int, name: str) -> Message:
    """The answer, `joined`, holds our own number as a feed."""
    return {"request": "join", "ptype": "publisher", "room": room, "display": name}


def publish() -> Message:
    """Goes with our offer; the answer comes with `configured`."""
    return {"request": "publish"}


def join_to_listen(room: int, feeds: Sequence[int]) -> Message:
    """The answer, `attached`, holds one offer with a section for each track of these feeds."""
    streams = [{"feed": feed} for feed in feeds]
    return {"request": "join", "ptype": "subscriber", "room": room, "streams": streams}


def start() -> Message:
    """Goes with our answer."""
    return {"request": "start"}


def candidate(address: tuple[str, int]) -> Message:
    """Where we are (RFC 8839 section 5.1), of the first section, which all are bundled with."""
    host, port = address
    line = f"candidate:1 1 udp 2130706431 {host} {port} typ host"
    return {"janus": "trickle", "candidate": {"candidate": line, "sdpMLineIndex": 0}}


def no_more_candidates() -> Message:
    return {"janus": "trickle", "candidate": {"completed": True}}


def jsep(kind: Literal["offer", "answer"], sdp: str) -> Message:
    return {"type": kind, "sdp": sdp, "trickle": True}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the video room answered."""

    told: Mapping[str, Any]
    sdp: str = ""

    @property
    def feed(self) -> int:
        """Our own number, of `joined`."""
        return int(self.told["id"])


def outcome(message: Message) -> Outcome | None:
    """What a request came to; None for an `ack`, after which it still comes.

    Raises Refused.
    """
    match message.get("janus"):
        case "ack":
            return None
        case "error":
            error = message.get("error", {})
            raise Refused(int(error.get("code", 0)), str(error.get("reason", "nothing")))
        case "event" | "success":
            told = message.get("plugindata", {}).get("data", message.get("data", {}))
            if "error" in told:
                raise Refused(int(told.get("error_code", 0)), str(told["error"]))
            return Outcome(told, message.get("jsep", {}).get("sdp", ""))
        case other:
            raise Refused(0, f"an answer of kind {other!r}")
