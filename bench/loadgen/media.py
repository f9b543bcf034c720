"""What publishers send: valid RTP (RFC 3550) that carries proof of who sent it, and when.

Every payload holds a stamp: magic, source, counter, send time and place in its frame, then filler
that depends on the counter. A receiver that decrypts one can tell whether it is whole and whose it
is. The packets of a frame are about equally long, as browsers split a picture: some are one byte
longer, and those come last.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from bench.loadgen.pacing import FRAME

VIDEO_PAYLOAD_TYPE: Final = 96
RESENT_PAYLOAD_TYPE: Final = 97
AUDIO_PAYLOAD_TYPE: Final = 111
AUDIO_LEVEL_ID: Final = 1
TRANSPORT_SEQUENCE_ID: Final = 3
MID_ID: Final = 4
RID_ID: Final = 10
VIDEO_BYTES: Final = 1200
AUDIO_BYTES: Final = 100
VIDEO_CLOCK: Final = 90_000
AUDIO_CLOCK: Final = 48_000
AUDIO_PACKET_RATE: Final = 50.0
"""Opus packets of 20 ms, per second."""

_MAGIC: Final = b"CNCLVBNC"
_STAMP: Final = struct.Struct("!8sIQQB")
_HEADER: Final = struct.Struct("!BBHII")
_FILLERS: Final = tuple(bytes([value]) * VIDEO_BYTES for value in range(256))
_LEVEL: Final = 0x80 | 30  # voice at -30 dBov (RFC 6464)

# VP8 payload descriptor (RFC 7741 section 4.2): one byte, S set on the first packet of a frame.
_FRAME_START: Final = b"\x10"
_FRAME_REST: Final = b"\x00"
# VP8 frame tag and start code (RFC 6386 section 9.1): a shown key frame of 1280 by 720.
_KEY_FRAME: Final = bytes.fromhex("1000009d012a0005d002")
_DELTA_FRAME: Final = b"\x11" + bytes(9)
_OPUS_TOC: Final = b"\x78"  # CELT, 20 ms, mono (RFC 6716 section 3.1)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a payload says about itself."""

    source: int
    counter: int
    sent_at: int  # monotonic nanoseconds, before it was sealed


class BadPayload(Exception):
    """A payload that decrypted and yet is not what was sent."""


class Video:
    """One VP8 stream; the first frame is a key frame."""

    payload_type = VIDEO_PAYLOAD_TYPE

    def __init__(
        self, ssrc: int, source: int, rate: float, names: tuple[str, str] | None = None
    ) -> None:
        """`names` are the MID and RID that every packet bears."""
        self.ssrc = ssrc
        self.source = source
        self.counter = 0
        self.payload_bytes = 0  # of all packets so far, without headers
        self._names = (
            b"" if names is None else _element(MID_ID, names[0]) + _element(RID_ID, names[1])
        )
        self._rate = rate
        self._frame = FRAME
        self._place = 0
        self._pictures = 0
        self._timestamp = 0.0
        self._key_wanted = True
        self._key_now = False

    def set_rate(self, rate: float, frame: int = FRAME) -> None:
        """Packets per second, and packets of a picture; a new picture begins."""
        self._rate = rate
        self._frame = frame
        self._place = 0

    def want_key_frame(self) -> None:
        """The next frame is a key frame."""
        self._key_wanted = True

    @property
    def timestamp(self) -> int:
        """RTP time of the current frame."""
        return int(self._timestamp) & 0xFFFFFFFF

    def next(self, now: int, transport_sequence: int) -> bytes:
        """The next RTP packet, plain."""
        place, frame = self._place, self._frame
        if place == 0:
            self._pictures += 1
            self._key_now, self._key_wanted = self._key_wanted, False
            self._timestamp += VIDEO_CLOCK * frame / self._rate
        self._place = (place + 1) % frame
        marker = 0x80 if place == frame - 1 else 0
        length = VIDEO_BYTES - (1 if place < (self._pictures - 1) % frame else 0)
        header = _HEADER.pack(
            0x90,
            marker | self.payload_type,
            self.counter & 0xFFFF,
            self.timestamp,
            self.ssrc,
        )
        elements = struct.pack("!BH", TRANSPORT_SEQUENCE_ID << 4 | 1, transport_sequence & 0xFFFF)
        elements += self._names
        elements += bytes(-len(elements) % 4)
        extension = struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements
        if place == 0:
            codec = _FRAME_START + (_KEY_FRAME if self._key_now else _DELTA_FRAME)
        else:
            codec = _FRAME_REST + bytes(10)
        stamp = _STAMP.pack(_MAGIC, self.source, self.counter, now, place)
        head = header + extension + codec + stamp
        filler = _FILLERS[self.counter & 0xFF][: length - len(head)]
        self.counter += 1
        self.payload_bytes += length - len(header) - len(extension)
        return head + filler


class Simulcast:
    """One camera in three layers, told apart by MID and RID; a share of the packets each."""

    payload_type = VIDEO_PAYLOAD_TYPE
    rids = ("q", "h", "f")
    _TURNS: Final = (2, 1, 2, 2, 0, 2, 1, 2)  # whose frame is next
    _SHARES: Final = (1 / 8, 2 / 8, 5 / 8)

    def __init__(self, ssrcs: tuple[int, int, int], source: int, rate: float, mid: str) -> None:
        """`rate` in packets per second, of all layers together."""
        self.source = source
        self.counter = 0
        self._layers = [
            Video(ssrc, source, rate * share, (mid, rid))
            for ssrc, share, rid in zip(ssrcs, self._SHARES, self.rids, strict=True)
        ]

    @property
    def ssrc(self) -> int:
        """Of the layer that the sender reports are about."""
        return self._layers[0].ssrc

    @property
    def timestamp(self) -> int:
        return self._layers[0].timestamp

    def set_rate(self, rate: float) -> None:
        """Packets per second of all layers."""
        for layer, share in zip(self._layers, self._SHARES, strict=True):
            layer.set_rate(rate * share)

    def want_key_frame(self) -> None:
        """The next frame of each layer is a key frame."""
        for layer in self._layers:
            layer.want_key_frame()

    def next(self, now: int, transport_sequence: int) -> bytes:
        """The next RTP packet, plain."""
        turn = self._TURNS[self.counter // FRAME % len(self._TURNS)]
        self.counter += 1
        return self._layers[turn].next(now, transport_sequence)


class Audio:
    """One Opus stream, 50 packets per second, always speaking."""

    payload_type = AUDIO_PAYLOAD_TYPE

    def __init__(self, ssrc: int, source: int) -> None:
        self.ssrc = ssrc
        self.source = source
        self.counter = 0
        self.payload_bytes = 0  # of all packets so far, without headers

    def want_key_frame(self) -> None:
        """Sound has none."""

    @property
    def timestamp(self) -> int:
        """RTP time of the next packet."""
        return (self.counter * 960) & 0xFFFFFFFF

    def next(self, now: int, transport_sequence: int) -> bytes:
        """The next RTP packet, plain."""
        header = _HEADER.pack(
            0x90, self.payload_type, self.counter & 0xFFFF, self.timestamp, self.ssrc
        )
        extension = struct.pack(
            "!HHBBBHxxx",
            0xBEDE,
            2,
            AUDIO_LEVEL_ID << 4,
            _LEVEL,
            TRANSPORT_SEQUENCE_ID << 4 | 1,
            transport_sequence & 0xFFFF,
        )
        stamp = _STAMP.pack(_MAGIC, self.source, self.counter, now, 0)
        head = header + extension + _OPUS_TOC + stamp
        filler = _FILLERS[self.counter & 0xFF][: AUDIO_BYTES - len(head)]
        self.counter += 1
        self.payload_bytes += AUDIO_BYTES - len(header) - len(extension)
        return head + filler


def _element(number: int, text: str) -> bytes:
    """A one-byte element of a header extension (RFC 8285 section 4.2)."""
    return bytes([number << 4 | len(text) - 1]) + text.encode()


def check(packet: bytes) -> Stamp:
    """The stamp of a decrypted RTP packet. Raises `BadPayload` when any byte is not as sent."""
    payload = payload_of(packet)
    start = payload.find(_MAGIC, 0, 32)
    if start < 0 or len(payload) < start + _STAMP.size:
        raise BadPayload("no stamp")
    _, source, counter, sent_at, place = _STAMP.unpack_from(payload, start)
    filler = payload[start + _STAMP.size :]
    if filler != _FILLERS[counter & 0xFF][: len(filler)]:
        raise BadPayload("filler differs")
    if start == 1:
        intact = payload[:1] == _OPUS_TOC
    elif place:
        intact = payload[:start] == _FRAME_REST + bytes(10)
    else:
        known = (_FRAME_START + _KEY_FRAME, _FRAME_START + _DELTA_FRAME)
        intact = payload[:start] in known
    if not intact:
        raise BadPayload("codec bytes differ")
    return Stamp(source, counter, sent_at)


def payload_of(packet: bytes) -> bytes:
    """What follows header, extensions and precedes padding. Raises `BadPayload`."""
    if len(packet) < 12 or packet[0] >> 6 != 2:
        raise BadPayload("not RTP")
    at = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < at + 4:
            raise BadPayload("cut short")
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)
    return packet[at:end]
