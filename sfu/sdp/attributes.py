"""The `a=` lines of one section, or of the session, gathered one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sfu.errors import SdpError
from sfu.sdp.model import (
    Direction,
    Extension,
    Fingerprint,
    Format,
    Msid,
    Rid,
    Simulcast,
    Source,
    SourceGroup,
)

MAX_FINGERPRINTS = 8  # one per hash function that anybody still uses, and some
MAX_FEEDBACK = 16  # kinds of feedback per format, the rest is passed over; browsers offer 5

# RFC 8839 section 5.4: ice-char, 4 to 256 and 22 to 256 of them.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+")  # RFC 8866 section 9
_MID_LENGTH = 32  # what browsers write has three characters
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")  # RFC 8851 section 10; 16 fit a one-byte extension
_HASH_BYTES: Final = {
    "md5": 16,
    "sha-1": 20,
    "sha-224": 28,
    "sha-256": 32,
    "sha-384": 48,
    "sha-512": 64,
}
_HEX = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*")


def malformed(what: str) -> SdpError:
    return SdpError("sdp_malformed", f"The description cannot be read: {what}.")


def number(text: str, most: int) -> int | None:
    """A plain decimal number up to `most`; `int` alone takes signs, underscores and more."""
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    value = int(text)
    return value if value <= most else None


@dataclass(frozen=True, slots=True)
class Media:
    """An m-line."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]

    @property
    def is_rtp(self) -> bool:
        return "RTP/" in self.protocol


def media_line(value: str) -> Media:
    """Raises `SdpError` `sdp_malformed`."""
    parts = value.split()
    if len(parts) < 4 or len(parts[0]) > 32 or len(parts[2]) > 64 or len(parts) > 3 + 128:
        raise malformed("a media line has too few or too many parts")
    kind, port, protocol, *formats = parts
    tokens = [kind, *protocol.split("/"), *formats]
    port_number = number(port.partition("/")[0], 65535)
    if port_number is None or not all(_TOKEN.fullmatch(token) for token in tokens):
        raise malformed("a media line makes no sense")
    return Media(kind, port_number, protocol, tuple(formats))


@dataclass(slots=True)
class Attributes:
    """What was read so far. `read` takes one attribute; names it does not know are passed over."""

    mid: str = ""
    bundle: list[str] = field(default_factory=list)
    ice_lite: bool = False
    extmap_allow_mixed: bool = False
    direction: Direction | None = None
    bundle_only: bool = False
    ufrag: str | None = None
    password: str | None = None
    fingerprints: list[Fingerprint] = field(default_factory=list)
    setup: str | None = None
    rtcp_mux: bool = False
    rtcp_mux_only: bool = False
    rtcp_rsize: bool = False
    extensions: dict[int, Extension] = field(default_factory=dict)
    msids: list[Msid] = field(default_factory=list)
    rids: dict[str, Rid] = field(default_factory=dict)
    simulcast: Simulcast | None = None
    sources: list[Source] = field(default_factory=list)
    source_groups: list[SourceGroup] = field(default_factory=list)
    sctp_port: int | None = None
    max_message_size: int | None = None
    end_of_candidates: bool = False
    _maps: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    _parameters: dict[int, str] = field(default_factory=dict)
    _feedback: dict[int | None, list[str]] = field(default_factory=dict)  # None: every format

    def read(self, line: str) -> None:
        """One attribute, without `a=`. Raises `SdpError`."""
        name, _, value = line.partition(":")
        if name in _FLAGS:
            setattr(self, _FLAGS[name], True)
        elif name in _DIRECTIONS:
            self.direction = Direction(name)
        elif (reader := _READERS.get(name)) is not None:
            reader(self, value.strip())

    def payload_formats(self, listed: Sequence[str]) -> tuple[Format, ...]:
        """The formats of an m-line that have an rtpmap, in its order.

        Raises `SdpError` when the m-line lists what is no payload type, or one twice.
        """
        types = [number(text, 127) for text in listed]
        if None in types or len(set(types)) != len(types):
            raise malformed("a media line lists bad payload types")
        found = []
        for payload_type in types:
            if payload_type is None or payload_type not in self._maps:
                continue  # a static type (PCMU and the like): never wanted here
            name, clock_rate, channels = self._maps[payload_type]
            lines = self._feedback.get(None, []) + self._feedback.get(payload_type, [])
            found.append(
                Format(
                    payload_type=payload_type,
                    name=name,
                    clock_rate=clock_rate,
                    channels=channels,
                    fmtp=self._parameters.get(payload_type, ""),
                    feedback=tuple(dict.fromkeys(lines)),
                )
            )
        return tuple(found)

    # --- readers, one per attribute; those that do not raise pass over what makes no sense ---

    def _mid(self, value: str) -> None:
        if len(value) > _MID_LENGTH or not _TOKEN.fullmatch(value):
            raise malformed("an identification tag is empty, too long or not a token")
        self.mid = value

    def _group(self, value: str) -> None:
        semantics, *mids = value.split() or [""]
        if semantics == "BUNDLE" and not self.bundle:
            self.bundle = mids

    def _ufrag(self, value: str) -> None:
        if not _UFRAG.fullmatch(value):
            raise SdpError("sdp_no_ice", "The ICE username fragment is not allowed by RFC 8839.")
        self.ufrag = value

    def _password(self, value: str) -> None:
        if not _PASSWORD.fullmatch(value):
            raise SdpError("sdp_no_ice", "The ICE password is not allowed by RFC 8839.")
        self.password = value

    def _fingerprint(self, value: str) -> None:
        algorithm, _, digest = value.partition(" ")
        algorithm, digest = algorithm.lower(), digest.strip().upper()
        size = _HASH_BYTES.get(algorithm)
        if size is None:
            return  # RFC 8122 section 5: unknown hash functions are ignored
        if not _HEX.fullmatch(digest) or len(digest) != 3 * size - 1:
            raise malformed(f"a {algorithm} fingerprint does not have {size} bytes")
        if len(self.fingerprints) == MAX_FINGERPRINTS:
            raise malformed(f"there are more than {MAX_FINGERPRINTS} fingerprints")
        self.fingerprints.append(Fingerprint(algorithm, digest))

    def _setup(self, value: str) -> None:
        if value not in ("active", "passive", "actpass", "holdconn"):
            raise malformed("its setup role is unknown")
        self.setup = value

    def _rtpmap(self, value: str) -> None:
        payload_text, _, encoding = value.partition(" ")
        name, *rest = encoding.strip().split("/")
        payload_type = number(payload_text, 127)
        clock_rate = number(rest[0], 2**31) if rest else None
        channels = number(rest[1], 255) if len(rest) > 1 else 1
        if payload_type is not None and clock_rate and channels and _TOKEN.fullmatch(name):
            self._maps.setdefault(payload_type, (name, clock_rate, channels))

    def _fmtp(self, value: str) -> None:
        payload_text, _, parameters = value.partition(" ")
        payload_type = number(payload_text, 127)
        if payload_type is not None:
            self._parameters.setdefault(payload_type, parameters.strip())

    def _rtcp_fb(self, value: str) -> None:
        payload_text, _, feedback = value.partition(" ")
        payload_type = number(payload_text, 127)
        words = " ".join(feedback.split())
        if payload_type is None and payload_text != "*":
            return
        lines = self._feedback.setdefault(payload_type, [])
        if words and len(lines) < MAX_FEEDBACK:
            lines.append(words)

    def _extmap(self, value: str) -> None:
        parts = value.split()
        if len(parts) < 2:
            return
        id_text, _, direction = parts[0].partition("/")
        id_number = number(id_text, 4095)
        if id_number and id_number not in self.extensions and direction in ("", *_DIRECTIONS):
            way = Direction(direction) if direction else Direction.SENDRECV
            self.extensions[id_number] = Extension(id_number, parts[1], way)

    def _rid(self, value: str) -> None:
        parts = value.split(maxsplit=2)
        if len(parts) >= 2 and parts[1] in ("send", "recv") and _RID.fullmatch(parts[0]):
            restrictions = parts[2] if len(parts) == 3 else ""
            self.rids.setdefault(parts[0], Rid(parts[0], parts[1], restrictions))

    def _simulcast(self, value: str) -> None:
        words = value.split()
        sides: dict[str, tuple[tuple[str, ...], ...]] = {}
        for side, streams in zip(words[::2], words[1::2], strict=False):
            sides.setdefault(
                side,
                tuple(
                    tuple(rid.removeprefix("~") for rid in stream.split(","))
                    for stream in streams.split(";")
                ),
            )
        rids = [rid for streams in sides.values() for stream in streams for rid in stream]
        known = set(sides) <= {"send", "recv"} and bool(sides) and len(words) % 2 == 0
        if known and all(_RID.fullmatch(rid) for rid in rids):
            self.simulcast = Simulcast(sides.get("send", ()), sides.get("recv", ()))

    def _msid(self, value: str) -> None:
        stream, _, track = value.partition(" ")
        if stream:
            self.msids.append(Msid(stream, track.strip()))

    def _ssrc(self, value: str) -> None:
        ssrc_text, _, attribute = value.partition(" ")
        ssrc = number(ssrc_text, 2**32 - 1)
        name, _, text = attribute.strip().partition(":")
        if ssrc is not None and name:
            self.sources.append(Source(ssrc, name, text))

    def _ssrc_group(self, value: str) -> None:
        semantics, *texts = value.split() or [""]
        ssrcs = [number(text, 2**32 - 1) for text in texts]
        if semantics and ssrcs and None not in ssrcs:
            known = tuple(ssrc for ssrc in ssrcs if ssrc is not None)
            self.source_groups.append(SourceGroup(semantics, known))

    def _sctp_port(self, value: str) -> None:
        self.sctp_port = number(value, 65535)

    def _max_message_size(self, value: str) -> None:
        self.max_message_size = number(value, 2**64 - 1)


_DIRECTIONS: Final = tuple(direction.value for direction in Direction)
_FLAGS: Final = {
    "bundle-only": "bundle_only",
    "rtcp-mux": "rtcp_mux",
    "rtcp-mux-only": "rtcp_mux_only",
    "rtcp-rsize": "rtcp_rsize",
    "ice-lite": "ice_lite",
    "extmap-allow-mixed": "extmap_allow_mixed",
    "end-of-candidates": "end_of_candidates",
}
_READERS: Final[dict[str, Callable[[Attributes, str], None]]] = {
    "mid": Attributes._mid,
    "group": Attributes._group,
    "ice-ufrag": Attributes._ufrag,
    "ice-pwd": Attributes._password,
    "fingerprint": Attributes._fingerprint,
    "setup": Attributes._setup,
    "rtpmap": Attributes._rtpmap,
    "fmtp": Attributes._fmtp,
    "rtcp-fb": Attributes._rtcp_fb,
    "extmap": Attributes._extmap,
    "rid": Attributes._rid,
    "simulcast": Attributes._simulcast,
    "msid": Attributes._msid,
    "ssrc": Attributes._ssrc,
    "ssrc-group": Attributes._ssrc_group,
    "sctp-port": Attributes._sctp_port,
    "max-message-size": Attributes._max_message_size,
}
