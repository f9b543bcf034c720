"""One client's media transport: a UDP socket with SRTP upon it."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final, Protocol

import pylibsrtp

from bench.loadgen.association import Association
from bench.loadgen.counting import Distinct
from bench.loadgen.datagrams import SIZE, Batch, udp_socket
from bench.loadgen.dtls import Keys
from bench.loadgen.feedback import TELL_EVERY, Told
from bench.loadgen.ice import CONSENT_EVERY, RETRY_EVERY
from bench.loadgen.media import (
    RESENT_PAYLOAD_TYPE,
    TRANSPORT_SEQUENCE_ID,
    VIDEO_PAYLOAD_TYPE,
    BadPayload,
    check,
    payload_of,
)
from bench.loadgen.rtcp import asks_for_key_frame, receiver_report, sender_report
from bench.loadgen.thinning import thin

SAMPLE_EVERY: Final = 100
"""One packet in so many is decrypted and checked; not the same ones in all streams."""
_RTP: Final = struct.Struct("!BBHII")
_REPORT_EVERY: Final = 1.0  # seconds


class Source(Protocol):
    """Where RTP packets come from."""

    payload_type: int
    source: int
    counter: int

    @property
    def ssrc(self) -> int: ...

    @property
    def timestamp(self) -> int: ...

    def next(self, now: int, transport_sequence: int) -> bytes: ...

    def want_key_frame(self) -> None: ...


class Delays(Protocol):
    """Where the send time of a source's packet is known."""

    def sent(self, source: int, counter: int, at: int) -> None: ...

    def arrived(self, source: int, counter: int, at: int) -> None: ...


class Transport:
    """Connects, receives and counts; sends what it is told to."""

    def __init__(
        self,
        address: tuple[str, int],
        association: Association,
        delays: Delays,
        *,
        tells: bool = False,
        loses: float = 0.0,
        one_in: int = 1,
    ) -> None:
        """With `tells` it says when packets arrived and asks for lost ones; `loses` is the share of
        those that came which it then says were lost. Who looks at `one_in` so many packets alone
        (`thinning`) counts those alone.
        """
        self._socket: socket.socket = udp_socket(address)
        self._one_in, self._sample_every = 1, SAMPLE_EVERY
        if one_in > 1:
            if tells:
                raise ValueError("who tells of every packet looks at every packet")
            self.thin(one_in)
        self._address = address
        self._association = association
        self._delays = delays
        self._keys: Keys | None = None
        self._report_ssrc = secrets.randbits(32)
        self._transport_sequence = 0
        self._octets = 0
        self._told = Told(TRANSPORT_SEQUENCE_ID) if tells else None
        self._loses = loses
        self.source: Source | None = None
        self.streams: dict[int, Distinct] = {}
        self.bytes_received = 0  # of RTP packets as they came, sealed, duplicates and resends too
        self.resent = 0  # packets of the streams that hold resends and padding (RFC 4588)
        self.checked = 0
        self.damaged = 0
        self.rtcp_received = 0
        self.connected: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.first_media: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(self._ask()), asyncio.create_task(self._retransmit())]
        self._adopt_keys()

    @property
    def here(self) -> tuple[str, int]:
        """Our own address, as the server sees it."""
        host, port, *_ = self._socket.getsockname()
        return host, port

    @property
    def there(self) -> tuple[str, int]:
        """The server's address."""
        return self._address

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    @property
    def inode(self) -> int:
        return os.fstat(self._socket.fileno()).st_ino

    @property
    def packets(self) -> int:
        """Distinct RTP packets received."""
        return sum(stream.count for stream in self.streams.values())

    @property
    def duplicates(self) -> int:
        return sum(stream.duplicates for stream in self.streams.values())

    def thin(self, one_in: int) -> None:
        """Look at one media packet in so many alone from now on; the kernel counts the others."""
        thin(self._socket, one_in)
        self._one_in, self._sample_every = one_in, max(1, SAMPLE_EVERY // one_in)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._socket.close()

    # --- Receiving, the hot path ----------------------------------------------------------------

    def receive(self, batch: Batch) -> int:
        """Take what lies in the socket, one batch at most; how many datagrams that was."""
        received = batch.receive(self._socket.fileno())
        data, lengths, streams, unpack = batch.data, batch.lengths, self.streams, _RTP.unpack_from
        told, octets = self._told, 0
        one_in, sample_every = self._one_in, self._sample_every
        for index in range(received):
            first, second, sequence, _, ssrc = unpack(data, index * SIZE)
            if first >> 6 != 2 or 192 <= second <= 223:
                self._other(batch.datagram(index))
                continue
            octets += lengths[index]
            again = second & 0x7F == RESENT_PAYLOAD_TYPE
            if told is not None and not (self._loses and random.random() < self._loses):
                asks = ssrc if second & 0x7F == VIDEO_PAYLOAD_TYPE else None
                told.arrived(data, index * SIZE, asks, sequence, batch.arrived(index))
            if again:
                self._restore(batch.datagram(index))
                continue
            stream = streams.get(ssrc)
            if stream is None:
                stream = streams[ssrc] = Distinct(one_in)
            if stream.add(sequence) and (
                (sequence // one_in + ssrc) % sample_every == 0 or not self.first_media.done()
            ):
                self._sample(batch, index)
        self.bytes_received += octets
        return received

    def _sample(self, batch: Batch, index: int) -> None:
        keys = self._keys
        if keys is None:
            return
        try:
            stamp = check(keys.inbound.unprotect(batch.datagram(index)))
        except (pylibsrtp.Error, BadPayload):
            self.damaged += 1
            return
        self.checked += 1
        if not self.first_media.done():
            self.first_media.set_result(time.monotonic())
        if at := batch.arrived(index):
            self._delays.arrived(stamp.source, stamp.counter, at)

    def _restore(self, datagram: bytes) -> None:
        """A packet of RFC 4588; one without a payload is padding."""
        self.resent += 1
        if self._keys is None or self._told is None:
            return
        try:
            payload = payload_of(self._keys.inbound.unprotect(datagram))
        except (pylibsrtp.Error, BadPayload):
            self.damaged += 1
            return
        if len(payload) > 2:
            self._told.restored(int.from_bytes(payload[:2], "big"))

    def _other(self, datagram: bytes) -> None:
        if datagram and datagram[0] >> 6 == 2:
            self._control(datagram)
            return
        try:
            outgoing = self._association.take(datagram, self._address)
        except Exception as error:  # noqa: BLE001 (whoever waits for the connection is told)
            if not self.connected.done():
                self.connected.set_exception(error)
            return
        for one in outgoing:
            self._put(one)
        self._adopt_keys()

    def _control(self, datagram: bytes) -> None:
        self.rtcp_received += 1
        if self._keys is None or self.source is None:
            return
        try:
            compound = self._keys.inbound.unprotect_rtcp(datagram)
        except pylibsrtp.Error:
            self.damaged += 1
            return
        if asks_for_key_frame(compound):
            self.source.want_key_frame()

    # --- Sending --------------------------------------------------------------------------------

    def send(self, count: int) -> None:
        """Send so many packets of the source: all are sealed first, then leave back to back."""
        keys, source = self._keys, self.source
        if keys is None or source is None:
            return
        now = time.monotonic_ns()
        counter = source.counter
        sealed = []
        for _ in range(count):
            packet = source.next(now, self._transport_sequence)
            self._transport_sequence += 1
            self._octets += len(packet)
            sealed.append(keys.outbound.protect(packet))
        for offset, datagram in enumerate(sealed):
            self._delays.sent(source.source, counter + offset, time.time_ns())
            self._put(datagram)

    def report(self) -> None:
        """One SR or RR, as is due each second."""
        if self._keys is None:
            return
        if self.source is not None:
            source = self.source
            compound = sender_report(source.ssrc, source.timestamp, source.counter, self._octets)
            self._put(self._keys.outbound.protect_rtcp(compound))
        if self.streams:
            blocks: Sequence[tuple[int, int, int]] = [
                (ssrc, stream.highest, max(0, stream.gaps)) for ssrc, stream in self.streams.items()
            ]
            compound = receiver_report(self._report_ssrc, blocks)
            self._put(self._keys.outbound.protect_rtcp(compound))

    def tell(self) -> None:
        """Feedback about what arrived, as is due every `TELL_EVERY`."""
        if self._keys is None or self._told is None or not self.streams:
            return
        first = next(iter(self.streams))
        # A compound for each stream, as browsers have it: Janus goes by the report's first block
        for media, told in self._told.due(self._report_ssrc, first, time.monotonic_ns()):
            stream = self.streams[media]
            block = (media, stream.highest, max(0, stream.gaps))
            compound = receiver_report(self._report_ssrc, [block]) + told
            self._put(self._keys.outbound.protect_rtcp(compound))

    def _put(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except (BlockingIOError, ConnectionRefusedError):
            return

    # --- Timers ---------------------------------------------------------------------------------

    async def _ask(self) -> None:
        while (question := self._association.question()) is not None:
            self._put(question)
            await asyncio.sleep(CONSENT_EVERY if self._association.reached else RETRY_EVERY)

    async def _retransmit(self) -> None:
        while self._keys is None:
            await asyncio.sleep(0.1)
            for datagram in self._association.retransmit():
                self._put(datagram)

    async def _report(self) -> None:
        await asyncio.sleep(secrets.randbelow(1000) / 1000)
        while True:
            self.report()
            await asyncio.sleep(_REPORT_EVERY)

    async def _telling(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            self.tell()

    def _adopt_keys(self) -> None:
        if self._keys is not None or self._association.keys is None:
            return
        self._keys = self._association.keys
        self._tasks.append(asyncio.create_task(self._report()))
        if self._told is not None:
            self._tasks.append(asyncio.create_task(self._telling()))
        if not self.connected.done():
            self.connected.set_result(time.monotonic())
