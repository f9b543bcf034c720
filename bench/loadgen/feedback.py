"""What a receiver tells of arrivals: transport-wide feedback and requests for lost packets.

draft-holmer-rmcat-transport-wide-cc-extensions-01 and RFC 4585 section 6.2.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

TELL_EVERY: Final = 0.1
"""Seconds between two compounds; browsers take 50 to 250 ms, this to begin with."""
_MAX_STATUSES: Final = 400  # with two bytes of delta each they stay within one datagram
_MAX_MISSING: Final = 256  # of one stream; more are not asked for
_MAX_TRIES: Final = 10
_ASK_AGAIN: Final = 100_000_000  # nanoseconds
_RTPFB: Final = 205
_NACK: Final = 1
_TRANSPORT: Final = 15
_TICK: Final = 250_000  # nanoseconds of one delta
_REFERENCE: Final = 64_000_000  # nanoseconds of one unit of the reference time


class Told:
    """Arrivals and gaps of one transport, until they are told."""

    def __init__(self, element: int) -> None:
        """`element` is the header extension's number for transport-wide sequence numbers."""
        self._element = element
        self._arrivals: dict[int, int] = {}  # by unwrapped number, in order of arrival
        self._next = 0  # the first number that no feedback has told of
        self._count = 0
        self._highest: dict[int, int] = {}  # by SSRC, 16 bits
        self._missing: dict[int, dict[int, tuple[int, int]]] = {}  # tries and when, by number

    def arrived(
        self, data: bytes | bytearray, start: int, ssrc: int | None, sequence: int, now: int
    ) -> None:
        """An RTP packet, which begins at `start` of `data`, came at `now`, nanoseconds of any
        clock. Of a stream whose gaps nobody asks for it has no `ssrc`.
        """
        if ssrc is not None:
            self._note_gap(ssrc, sequence)
        number = _element(data, start, self._element)
        if number is not None:
            step = (number - self._next + 0x8000 & 0xFFFF) - 0x8000
            if self._arrivals or self._count:
                self._arrivals.setdefault(self._next + step, now)
            else:
                self._arrivals[number] = now
                self._next = number

    def restored(self, sequence: int) -> None:
        """A resend brought this number. Whose it is only signalling tells; that two streams lack
        the same number at once is rare, and then one is not asked for again.
        """
        for missing in self._missing.values():
            missing.pop(sequence, None)

    def due(self, sender: int, media: int, now: int) -> Iterator[tuple[int, bytes]]:
        """Everything there is to tell, each with the stream that it is about, `media` where that is
        all of them. Each goes into a compound of its own, behind a report on that stream.
        """
        if feedback := self._feedback(sender, media):
            yield media, feedback
        yield from self._requests(sender, now)

    def _note_gap(self, ssrc: int, sequence: int) -> None:
        highest = self._highest.get(ssrc)
        missing = self._missing.setdefault(ssrc, {})
        ahead = 1 if highest is None else sequence - highest & 0xFFFF
        if ahead >= 0x8000:
            missing.pop(sequence, None)
            return
        self._highest[ssrc] = sequence
        for step in range(1, min(ahead, _MAX_MISSING - len(missing))):
            missing[sequence - step & 0xFFFF] = (0, 0)

    def _requests(self, sender: int, now: int) -> Iterator[tuple[int, bytes]]:
        for ssrc, missing in self._missing.items():
            if not missing:
                continue
            due = [number for number, (_, at) in missing.items() if now - at >= _ASK_AGAIN]
            for number in due:
                tries = missing[number][0] + 1
                if tries > _MAX_TRIES:
                    del missing[number]
                else:
                    missing[number] = (tries, now)
            asked = [number for number in due if number in missing]
            if asked:
                body = struct.pack("!II", sender, ssrc)
                body += b"".join(struct.pack("!HH", number, 0) for number in asked)
                yield ssrc, _packet(_NACK, body)

    def _feedback(self, sender: int, media: int) -> bytes:
        if not self._arrivals:
            return b""
        base = min(min(self._arrivals), self._next)
        last = min(max(self._arrivals), base + _MAX_STATUSES - 1)
        told = [self._arrivals.pop(number, None) for number in range(base, last + 1)]
        self._next = last + 1
        first = next((at for at in told if at is not None), None)
        if first is None:
            return b""
        reference = first // _REFERENCE
        clock = reference * _REFERENCE
        symbols, deltas = [], b""
        for at in told:
            if at is None:
                symbols.append(0)
                continue
            delta = round((at - clock) / _TICK)
            clock += delta * _TICK
            symbols.append(1 if 0 <= delta < 256 else 2)
            deltas += struct.pack("!B" if 0 <= delta < 256 else "!h", delta)
        body = struct.pack(
            "!IIHHI",
            sender,
            media,
            base & 0xFFFF,
            len(told),
            (reference & 0xFFFFFF) << 8 | self._count & 0xFF,
        )
        self._count += 1
        body += b"".join(_vector(symbols[at : at + 7]) for at in range(0, len(symbols), 7))
        body += deltas
        return _packet(_TRANSPORT, body + bytes(-len(body) % 4))


def _vector(symbols: list[int]) -> bytes:
    """A status vector chunk of two-bit symbols."""
    chunk = 0xC000
    for place, symbol in enumerate(symbols):
        chunk |= symbol << 12 - 2 * place
    return chunk.to_bytes(2, "big")


def _element(data: bytes | bytearray, start: int, wanted: int) -> int | None:
    """The 16-bit value of one one-byte element (RFC 8285 section 4.2)."""
    if not data[start] & 0x10:
        return None
    at = start + 12 + 4 * (data[start] & 0x0F)
    end = min(at + 4 + 4 * (data[at + 2] << 8 | data[at + 3]), len(data))
    at += 4
    while at + 2 < end:
        first = data[at]
        kind, length = first >> 4, (first & 0x0F) + 1
        if first == 0:
            at += 1
        elif kind == wanted and length == 2:
            return data[at + 1] << 8 | data[at + 2]
        else:
            at += 1 + length
    return None


def _packet(format_: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | format_, _RTPFB, len(body) // 4) + body
