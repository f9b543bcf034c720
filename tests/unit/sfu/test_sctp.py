"""Data channels against aiortc's own stack as the client, and against peers that mean harm."""

from __future__ import annotations

import asyncio
import importlib.metadata
import random
import struct
import subprocess
import sys
from typing import Any

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import (
    DataChunk,
    ForwardTsnChunk,
    HeartbeatChunk,
    RTCSctpCapabilities,
    RTCSctpTransport,
    SackChunk,
    serialize_packet,
)
from google_crc32c import value as crc32c

from sfu.sctp import LOSSY, RELIABLE, DataChannels, DataRefused
from sfu.sctp import association as bounds
from sfu.sctp import channels as backlog
from sfu.sctp.screen import MalformedPacket, screen
from tests.unit.sfu.dtls_client import settle


class Wire:
    """What SCTP uses of a DTLS transport, with the encryption left out."""

    def __init__(self, role: str) -> None:
        self._role = role
        self.state = "connected"
        self.receiver: Any = None
        self.peer: Wire | None = None
        self.held: list[bytes] | None = None  # when a list, nothing arrives

    def _register_data_receiver(self, receiver: Any) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver: Any) -> None:
        self.receiver = None

    async def _send_data(self, data: bytes) -> None:
        if self.state != "connected":
            raise ConnectionError
        assert self.peer is not None
        if self.held is not None:
            self.held.append(data)
        else:
            asyncio.get_running_loop().call_soon(self.peer.arrive, data)

    def arrive(self, data: bytes) -> None:
        if self.receiver is not None:
            self.running = asyncio.ensure_future(self.receiver._handle_data(data))


class Pair:
    """Our channels and a stock aiortc client, joined."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.opened: list[str] = []
        self.failed: list[str] = []
        self.ours_wire, self.theirs_wire = Wire("server"), Wire("client")
        self.ours_wire.peer, self.theirs_wire.peer = self.theirs_wire, self.ours_wire
        wire: Any = self.ours_wire
        self.ours = DataChannels(
            wire,
            on_message=lambda label, payload: self.messages.append((label, payload)),
            on_open=self.opened.append,
            on_failed=lambda refusal: self.failed.append(refusal.code),
        )
        their_wire: Any = self.theirs_wire
        self.theirs = RTCSctpTransport(their_wire)
        self.received: list[tuple[str, Any]] = []
        self.theirs.on("datachannel", self._on_channel)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self.listen(channel)

    def listen(self, channel: RTCDataChannel) -> None:
        channel.on("message", lambda payload: self.received.append((channel.label, payload)))

    async def start(self) -> None:
        await self.ours.start()
        await self.theirs.start(RTCSctpCapabilities(65536), 5000)
        await self.run()

    def open(self, label: str, **parameters: Any) -> RTCDataChannel:
        channel = RTCDataChannel(self.theirs, RTCDataChannelParameters(label=label, **parameters))
        self.listen(channel)
        return channel

    async def run(self) -> None:
        for _ in range(20):
            await settle()

    async def attack(self, chunk: Any) -> None:
        """Send one chunk as the client, with its real verification tag."""
        packet = serialize_packet(5000, 5000, self.theirs._remote_verification_tag, chunk)
        await self.ours._association._handle_data(packet)

    async def close(self) -> None:
        self.ours.close()
        await self.theirs.stop()


@pytest.fixture
async def pair() -> Any:
    pair = Pair()
    await pair.start()
    yield pair
    await pair.close()


# --- the ordinary --------------------------------------------------------------------------------


async def test_channels_the_client_opens_are_known_by_label(pair: Pair) -> None:
    lossy = pair.open(LOSSY, ordered=False, maxRetransmits=0)
    reliable = pair.open(RELIABLE)
    pair.open("_data_track", ordered=False, maxRetransmits=0)
    await pair.run()
    assert pair.opened == [LOSSY, RELIABLE, "_data_track"]
    reliable.send(b"hello")
    lossy.send("text is bytes too")
    reliable.send(b"")
    await pair.run()
    assert pair.messages == [(RELIABLE, b"hello"), (LOSSY, b"text is bytes too"), (RELIABLE, b"")]
    assert pair.ours.send(RELIABLE, b"back")
    assert pair.ours.send(LOSSY, b"")
    await pair.run()
    assert pair.received == [(RELIABLE, b"back"), (LOSSY, b"")]


async def test_channels_we_open_carry_data_once_acknowledged(pair: Pair) -> None:
    assert not pair.ours.send(RELIABLE, b"too early")
    pair.ours.open_ours()
    await pair.run()
    assert pair.opened == [RELIABLE, LOSSY]
    assert pair.ours.send(RELIABLE, b"one")
    assert pair.ours.send(LOSSY, b"two")
    await pair.run()
    assert pair.received == [(RELIABLE, b"one"), (LOSSY, b"two")]
    theirs = {channel.label: channel for channel in pair.theirs._data_channels.values()}
    assert theirs[RELIABLE].ordered
    assert not theirs[LOSSY].ordered
    assert theirs[LOSSY].maxRetransmits == 0
    assert all(channel.id is not None and channel.id % 2 == 1 for channel in theirs.values())


async def test_the_longest_message_passes_both_ways(pair: Pair) -> None:
    channel = pair.open(RELIABLE)
    await pair.run()
    longest = bytes(range(256)) * 255 + b"x" * 255
    assert len(longest) == bounds.MAX_MESSAGE
    channel.send(longest)
    assert pair.ours.send(RELIABLE, longest)
    for _ in range(20):
        await pair.run()
    assert pair.messages == [(RELIABLE, longest)]
    assert pair.received == [(RELIABLE, longest)]


async def test_a_closed_channel_takes_nothing(pair: Pair) -> None:
    channel = pair.open(RELIABLE)
    await pair.run()
    channel.close()
    await pair.run()
    assert not pair.ours.is_open(RELIABLE)
    assert not pair.ours.send(RELIABLE, b"late")
    pair.open(RELIABLE)
    await pair.run()
    assert pair.ours.send(RELIABLE, b"again")
    assert pair.failed == []


async def test_a_lost_packet_is_asked_for_again(pair: Pair) -> None:
    channel = pair.open(RELIABLE)
    await pair.run()
    pair.theirs_wire.held = []
    channel.send(b"first")
    await pair.run()
    pair.theirs_wire.held = None  # "first" is lost
    for number in range(4):
        channel.send(b"later %d" % number)
        await pair.run()
    assert [payload for _, payload in pair.messages][:1] == [b"first"]
    assert len(pair.messages) == 5


# --- bounds towards the client -------------------------------------------------------------------


async def test_lossy_data_for_a_client_that_takes_none_is_dropped(pair: Pair) -> None:
    pair.open(LOSSY, ordered=False, maxRetransmits=0)
    await pair.run()
    pair.ours_wire.held = []
    sent = [pair.ours.send(LOSSY, b"x" * 10_000) for _ in range(100)]
    await pair.run()
    assert sent[0]
    assert not all(sent)
    assert pair.failed == []
    waiting = pair.ours._association._data_channel_queue
    assert sum(len(data) for _, _, data in waiting) <= backlog.LOSSY_BACKLOG


async def test_tiny_messages_are_bounded_by_number(pair: Pair) -> None:
    pair.open(LOSSY, ordered=False, maxRetransmits=0)
    await pair.run()
    pair.ours_wire.held = []
    sent = [pair.ours.send(LOSSY, b"") for _ in range(backlog.LOSSY_MESSAGES + 10)]
    assert sum(sent) == backlog.LOSSY_MESSAGES


async def test_reliable_data_for_a_client_that_takes_none_ends_it(pair: Pair) -> None:
    pair.open(RELIABLE)
    await pair.run()
    pair.ours_wire.held = []
    count = 0
    while pair.ours.send(RELIABLE, b"x" * 60_000):
        count += 1
    assert pair.failed == ["data_backlog"]
    assert count * 60_000 <= backlog.RELIABLE_BACKLOG
    assert not pair.ours.send(RELIABLE, b"more")
    assert pair.failed == ["data_backlog"]


async def test_what_is_too_long_is_not_sent(pair: Pair) -> None:
    pair.open(RELIABLE)
    await pair.run()
    assert not pair.ours.send(RELIABLE, b"x" * (bounds.MAX_MESSAGE + 1))
    assert pair.failed == []


# --- hostile clients -----------------------------------------------------------------------------

ZERO_LENGTH_PARAMETER = HeartbeatChunk.type.to_bytes(1, "big") + b"\0\0\x08" + b"\0\1\0\0"


def test_a_parameter_of_length_zero_hangs_the_engine_left_alone() -> None:
    script = "import aiortc.rtcsctptransport as s; s.decode_params(bytes.fromhex('00010000'))"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", script], timeout=3, check=False)


async def test_a_parameter_of_length_zero_ends_that_peer_only(pair: Pair) -> None:
    await pair.ours._association._handle_data(b"\0" * 12 + ZERO_LENGTH_PARAMETER)
    assert pair.failed == ["data_protocol"]


def sack(cumulative: int, *gaps: tuple[int, int]) -> bytes:
    chunk = SackChunk()
    chunk.cumulative_tsn = cumulative
    chunk.gaps = list(gaps)
    return serialize_packet(5000, 5000, 1, chunk)


def test_a_sack_can_only_speak_of_what_was_sent() -> None:
    screen(sack(99), next_tsn=100)
    screen(sack(90, (2, 3), (5, 9)), next_tsn=100)
    screen(sack(2**32 - 5, (1, 4)), next_tsn=3)
    for bad in (
        sack(100),
        sack(90, (2, 10)),
        sack(90, (1, 65535), (1, 65535)),
        sack(90, (5, 4)),
        sack(90, (2, 3), (3, 5)),
        sack(90, (0, 1)),
    ):
        with pytest.raises(MalformedPacket):
            screen(bad, next_tsn=100)


@pytest.mark.parametrize(
    "chunk",
    [
        "00030010" + "00" * 12,  # DATA without user data
        "00030004",
        "01000014" + "00" * 16,  # INIT with tag 0
        "01000008" + "00" * 4,
        "02000018" + "00000001" * 2 + "00010001" + "00000001" + "80080000",  # parameter of 0
        "0300000c" + "00" * 8,
        "03000014" + "00000000" * 2 + "00ff0000" + "00" * 4,  # more gaps than there is room for
        "07000004",
        "c0000004",
        "c0000006" + "00" * 2,
        "82000010" + "000d000c" + "00" * 8,  # a reset request cut short
        "82000008" + "00100004",
        "82000008" + "000dffff",
        "04000008" + "00010003",
        "00000002",
        "0000ffff",
    ],
)
def test_malformed_chunks_are_refused(chunk: str) -> None:
    with pytest.raises(MalformedPacket):
        screen(b"\0" * 12 + bytes.fromhex(chunk), next_tsn=1)


def test_packets_of_odd_sizes_are_refused() -> None:
    heartbeat = bytes.fromhex("04000004")
    screen(b"\0" * 12 + heartbeat * 64, next_tsn=1)
    for packet in (
        b"",
        b"\0" * 15,
        b"\0" * 12 + heartbeat * 65,
        b"\0" * 3000,
        b"\0" * 12 + bytes.fromhex("01000014" + "00000001" * 2 + "00010001" + "00000001") * 2,
    ):
        with pytest.raises(MalformedPacket):
            screen(packet, next_tsn=1)


async def test_chunks_far_past_a_gap_are_dropped_and_not_acknowledged(pair: Pair) -> None:
    pair.open(RELIABLE)
    await pair.run()
    association = pair.ours._association
    last = association._last_received_tsn
    assert last is not None
    for ahead in range(2, bounds.MAX_AHEAD + 50):
        chunk = data_chunk(last + ahead, stream_id=0)
        await pair.attack(chunk)
    assert association.chunks_dropped == 49
    assert len(association._sack_misordered) == bounds.MAX_AHEAD - 1
    assert pair.failed == []


async def test_a_message_without_an_end_ends_the_peer(pair: Pair) -> None:
    pair.open(RELIABLE)
    await pair.run()
    association = pair.ours._association
    last = association._last_received_tsn
    assert last is not None
    for number in range(1, bounds.MAX_HELD + 10):
        chunk = data_chunk(last + number, stream_id=0, flags=2 if number == 1 else 0)
        await pair.attack(chunk)
    assert pair.failed == ["data_too_large"]


async def test_a_message_over_the_limit_is_dropped_and_the_channel_lives(pair: Pair) -> None:
    channel = pair.open(RELIABLE)
    await pair.run()
    pair.theirs._remote_max_message_size = 0
    channel.send(b"x" * (bounds.MAX_MESSAGE + 1))
    channel.send(b"after")
    for _ in range(20):
        await pair.run()
    assert pair.messages == [(RELIABLE, b"after")]
    assert pair.ours._association.messages_dropped == 1


async def test_streams_without_number_end_the_peer(pair: Pair) -> None:
    association = pair.ours._association
    last = association._last_received_tsn
    assert last is not None
    for number in range(1, bounds.MAX_STREAMS + 2):
        await pair.attack(data_chunk(last + number, stream_id=number, flags=2))
    assert pair.failed == ["data_protocol"]


async def test_a_forward_tsn_cannot_make_streams_either(pair: Pair) -> None:
    chunk = ForwardTsnChunk()
    last = pair.ours._association._last_received_tsn
    assert last is not None
    chunk.cumulative_tsn = (last + 1) % 2**32
    chunk.streams = [(number, 1) for number in range(bounds.MAX_STREAMS + 1)]
    await pair.attack(chunk)
    assert pair.failed == ["data_protocol"]


async def test_channels_without_number_end_the_peer(pair: Pair) -> None:
    for number in range(bounds.MAX_CHANNELS):
        pair.open(f"channel {number}")
    await pair.run()
    assert pair.failed == []
    pair.open("one more")
    await pair.run()
    assert pair.failed == ["data_too_many_channels"]


def open_message(label: bytes, *, label_length: int | None = None) -> bytes:
    length = len(label) if label_length is None else label_length
    return struct.pack("!BBHLHH", 3, 0, 0, 0, length, 0) + label


@pytest.mark.parametrize(
    "message",
    [
        open_message(b"\xff\xfe"),
        open_message(b"x", label_length=100),
        open_message(b"x" * 300),
        b"\x03",
    ],
    ids=["not UTF-8", "cut short", "long", "bare"],
)
async def test_an_open_that_is_wrong_ends_the_peer(pair: Pair, message: bytes) -> None:
    last = pair.ours._association._last_received_tsn
    assert last is not None
    chunk = data_chunk(last + 1, stream_id=0, flags=3)
    chunk.protocol, chunk.user_data = 50, message
    await pair.attack(chunk)
    assert pair.failed == ["data_protocol"]


async def test_opening_the_same_stream_twice_ends_the_peer(pair: Pair) -> None:
    pair.open(RELIABLE)
    await pair.run()
    channel = next(iter(pair.theirs._data_channels.values()))
    await pair.theirs._send(channel.id or 0, 50, open_message(b"again"))
    await pair.run()
    assert pair.failed == ["data_protocol"]


async def test_an_abort_closes_the_channels_and_nothing_else(pair: Pair) -> None:
    pair.open(RELIABLE)
    await pair.run()
    await pair.theirs._abort()
    await pair.run()
    assert not pair.ours.send(RELIABLE, b"x")
    assert pair.failed == []


async def test_a_transport_that_went_away_is_no_error(pair: Pair) -> None:
    pair.open(RELIABLE)
    await pair.run()
    pair.ours_wire.state = "closed"
    pair.ours.send(RELIABLE, b"x")
    await pair.run()
    assert pair.failed == []


async def test_random_chunks_end_their_sender_and_nothing_escapes() -> None:
    dice = random.Random(7)
    for _ in range(300):
        pair = Pair()
        await pair.start()
        for _ in range(30):
            kind = dice.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192, 77])
            body = dice.randbytes(dice.choice([0, 4, 12, 16, 20, 40]))
            chunk = struct.pack("!BBH", kind, dice.randrange(8), len(body) + 4) + body
            tag = 0 if kind == 1 else pair.theirs._remote_verification_tag
            header = struct.pack("!HHL", 5000, 5000, tag)
            checksum = struct.pack("<L", crc32c(header + b"\0\0\0\0" + chunk))
            await pair.ours._association._handle_data(header + checksum + chunk)
        assert set(pair.failed) <= {"data_protocol", "data_too_large"}
        await pair.close()


def data_chunk(tsn: int, *, stream_id: int, flags: int = 3) -> DataChunk:
    chunk = DataChunk()
    chunk.tsn = tsn % 2**32
    chunk.stream_id = stream_id
    chunk.flags = flags
    chunk.protocol = 53
    chunk.user_data = b"x"
    return chunk


# --- guards for what is private in aiortc --------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "_handle_data",
        "_receive_data_chunk",
        "_get_inbound_stream",
        "_data_channel_receive",
        "_send_chunk",
        "_set_state",
    ],
)
def test_aiortc_still_has(name: str) -> None:
    assert importlib.metadata.version("aiortc") == "1.16.0"
    assert callable(getattr(RTCSctpTransport, name))


async def test_aiortc_still_keeps_what_we_read(pair: Pair) -> None:
    for name in (
        "_local_tsn",
        "_last_received_tsn",
        "_advertised_rwnd",
        "_inbound_streams",
        "_data_channels",
        "_data_channel_queue",
        "_sack_needed",
    ):
        assert hasattr(pair.ours._association, name)


def test_a_refusal_has_a_code_and_a_sentence() -> None:
    refusal = DataRefused("data_backlog", "The client does not take its reliable data.")
    assert (refusal.code, str(refusal)) == ("data_backlog", refusal.sentence)
