"""Packets that can be told apart at the far end, and a pair of sessions to send them through."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from sfu.probe.identity import identity
from sfu.probe.lab import Lab, Session
from sfu.probe.row import Untested
from sfu.probe.sides import PAYLOAD_TYPES, Kind, Track
from sfu.probe.srtp import Keys

EVERY: Final = 0.02  # seconds between packets, as sound has them
UNTIL_HEARD: Final = 5.0  # seconds until the first honest packet must have come through
BARRIER: Final = 10  # honest packets sent after the one in question
STRAGGLERS: Final = 0.1  # seconds in which datagrams may overtake each other
_MARKER: Final = 16  # bytes
_PAYLOAD: Final = 64  # bytes
# A VP8 payload descriptor that starts a partition (RFC 7741 section 4.2), and the header of a key
# frame of 64x64 (RFC 6386 section 9.1): without one, a server may forward nothing.
_KEY_FRAME: Final = bytes.fromhex("1050010c9d012a40004000")
_OPUS: Final = b"\xf8"  # RFC 6716 section 3.1: one frame of 20 ms
_PICTURE_LOSS: Final = struct.pack("!BB", 0x81, 206)  # RFC 4585 section 6.3.1


class Speaker:
    """Makes RTP packets of one stream. Each carries a marker of its own."""

    def __init__(self, track: Track, *, sequence: int | None = None) -> None:
        self.track = track
        self._sequence = secrets.randbits(14) if sequence is None else sequence
        self._timestamp = secrets.randbits(30)
        self.markers: set[bytes] = set()

    def packet(self, *, ssrc: int | None = None) -> tuple[bytes, bytes]:
        """The next packet, unsealed, and the marker in it."""
        marker = secrets.token_bytes(_MARKER)
        self.markers.add(marker)
        start = _KEY_FRAME if self.track.kind == "video" else _OPUS
        kind = PAYLOAD_TYPES[self.track.kind] | (0x80 if self.track.kind == "video" else 0)
        head = struct.pack(
            "!BBHII",
            0x80,
            kind,
            self._sequence,
            self._timestamp,
            self.track.ssrc if ssrc is None else ssrc,
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + 960) & 0xFFFFFFFF
        return head + (start + marker).ljust(_PAYLOAD, b"\0"), marker


class Listener:
    """Opens what comes to a session, and remembers the markers and the key frame requests."""

    def __init__(self, session: Session, keys: Keys) -> None:
        self._session = session
        self._keys = keys
        self.heard: Counter[bytes] = Counter()
        self.ssrc: int | None = None  # of the last packet
        self.key_frames_wanted = 0

    def listen(self) -> None:
        """Take what has come by now."""
        queue = self._session.path.media
        while not queue.empty():
            packet = queue.get_nowait()
            if len(packet) > 1 and 192 <= packet[1] <= 223:
                self._control(self._keys.open_control(packet))
            else:
                self._media(self._keys.open(packet))

    def _media(self, packet: bytes | None) -> None:
        if packet is None or len(packet) < 12:
            return
        self.ssrc = int.from_bytes(packet[8:12], "big")
        start = 12 + 4 * (packet[0] & 15)
        if packet[0] & 0x10 and len(packet) >= start + 4:
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        skipped = len(_KEY_FRAME) if packet[start : start + 1] == _KEY_FRAME[:1] else len(_OPUS)
        self.heard[packet[start + skipped : start + skipped + _MARKER]] += 1

    def _control(self, compound: bytes | None) -> None:
        while compound and len(compound) >= 4:
            kind, count = compound[1], compound[0] & 31
            self.key_frames_wanted += kind == 206 and count in (1, 4)
            compound = compound[4 + 4 * int.from_bytes(compound[2:4], "big") :]


class Pair:
    """Somebody who sends and somebody who listens, both with keys."""

    def __init__(self, speaker: Speaker, sender: Session, receiver: Session) -> None:
        self.speaker = speaker
        self.sender = sender
        self.receiver = receiver
        self.sending: Keys
        self.receiving: Keys
        self.listener: Listener

    @classmethod
    @asynccontextmanager
    async def met(
        cls, lab: Lab, kind: Kind = "audio", *, sequence: int | None = None, shake: bool = True
    ) -> AsyncIterator[Pair]:
        """A pair in one room. With `shake` False the sender has not begun its handshake.

        Raises `Untested` where the target lets nobody listen.
        """
        if not lab.target.observes:
            raise Untested("there is no way to listen at this target")
        track = Track(f"probe-{secrets.token_hex(4)}", secrets.randbits(31) | 1, kind)
        async with (
            lab.session(sends=(track,), receives=()) as sender,
            lab.session(identity(number=1), seat=1, receives=(kind,)) as receiver,
        ):
            pair = cls(Speaker(track, sequence=sequence), sender, receiver)
            pair.receiving = await _keys(receiver)
            pair.listener = Listener(receiver, pair.receiving)
            if shake:
                await pair.shake()
            yield pair

    async def shake(self) -> None:
        """The sender's handshake."""
        self.sending = await _keys(self.sender)

    def send(self, packet: bytes) -> None:
        """Seal and send."""
        self.sender.path.send(self.sending.outbound.protect(packet))

    async def until_heard(self) -> None:
        """Honest packets until one comes through. Raises `Untested` when none does."""
        deadline = time.monotonic() + UNTIL_HEARD
        while time.monotonic() < deadline:
            self.send(self.speaker.packet()[0])
            await asyncio.sleep(EVERY)
            self.listener.listen()
            if self.speaker.markers & self.listener.heard.keys():
                return
        raise Untested("the server forwarded no honest media to a second participant")

    async def barrier(self) -> None:
        """Honest packets, and a wait until one came through: what was sent before them would have
        come by now. Raises `Untested` when none does.
        """
        markers = []
        for _ in range(BARRIER):
            packet, marker = self.speaker.packet()
            markers.append(marker)
            self.send(packet)
            await asyncio.sleep(EVERY)
        heard = self.listener.heard
        if not await self.eventually(lambda: any(heard[marker] for marker in markers)):
            raise Untested("honest media stopped coming through")
        await asyncio.sleep(STRAGGLERS)
        self.listener.listen()

    async def eventually(self, true: Callable[[], bool], within: float = 2.0) -> bool:
        """Whether it becomes true while listening."""
        deadline = time.monotonic() + within
        while True:
            self.listener.listen()
            if true():
                return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(EVERY)

    def key_frame_request(self) -> bytes:
        """Receiver's RTCP, unsealed: a receiver report and a picture loss indication."""
        ours = 0x1234
        report = struct.pack("!BBHI", 0x80, 201, 1, ours)
        return report + _PICTURE_LOSS + struct.pack("!HII", 2, ours, self.listener.ssrc or 0)


async def _keys(session: Session) -> Keys:
    handshake = await session.shake()
    if not handshake.done or handshake.error or handshake.profile is None:
        raise Untested(f"a handshake failed ({handshake.error or 'no SRTP profile'})")
    return Keys(handshake)
