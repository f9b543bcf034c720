"""aiortc's SCTP engine with every inbound buffer bounded, and nothing escaping from it.

Overridden private parts of aiortc 1.16 (each guarded by a test): `_handle_data`,
`_receive_data_chunk`, `_get_inbound_stream`, `_data_channel_receive`, `_send_chunk`.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from

from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import (
    DATA_CHANNEL_OPEN,
    WEBRTC_BINARY_EMPTY,
    WEBRTC_DCEP,
    WEBRTC_STRING_EMPTY,
    Chunk,
    DataChunk,
    InboundStream,
    RTCSctpTransport,
)

from sfu.sctp.screen import MalformedPacket, screen

# The longest message, as our SDP says (a=max-message-size).
MAX_MESSAGE = 65535
# LiveKit's clients open three; a few more may be an application's own.
MAX_CHANNELS = 16
# Distinct inbound stream numbers; each costs an object.
MAX_STREAMS = 64
# How far past a missing chunk others are kept: about 600 kB, and a SACK that fits a datagram.
MAX_AHEAD = 512
# Chunks kept for reassembly: the window above and one message in small pieces.
MAX_HELD = 2048
# A channel's label, bytes (RFC 8832 allows 65535).
MAX_LABEL = 256

_HALF = 1 << 31
_TSN_MODULO = 1 << 32
_OPEN_HEADER = 12  # RFC 8832 section 5.1


class DataRefused(Exception):
    """The peer's data cannot be served any more.

    Codes: `data_protocol`, `data_too_large`, `data_too_many_channels`, `data_backlog`.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Association(RTCSctpTransport):
    """One SCTP association. Its callbacks are called from within the engine: they must not call
    back into it.
    """

    def __init__(
        self,
        transport: RTCDtlsTransport,
        *,
        on_message: Callable[[str, bytes], None],
        on_open: Callable[[str], None],
        on_failed: Callable[[DataRefused], None],
    ) -> None:
        super().__init__(transport)
        self.messages_dropped = 0  # too long
        self.chunks_dropped = 0  # no room; the peer sends them again
        self._on_message = on_message
        self._on_open = on_open
        self._on_failed = on_failed
        self._over = False

    def shut(self) -> None:
        """End without a word to the peer: DTLS says goodbye. Idempotent."""
        self._over = True
        self.transport._unregister_data_receiver(self)
        self._set_state(self.State.CLOSED)

    # --- aiortc's seams ------------------------------------------------------------------------

    async def _handle_data(self, data: bytes) -> None:
        if self._over:
            return
        try:
            screen(data, next_tsn=self._local_tsn)
            await super()._handle_data(data)
        except DataRefused as refusal:
            self._fail(refusal)
        except MalformedPacket:
            self._fail(DataRefused("data_protocol", "The client sent malformed SCTP."))
        except Exception:  # noqa: BLE001 - the engine asserts on what peers send; only this one ends
            self._fail(DataRefused("data_protocol", "The client broke the SCTP protocol."))

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        """Drop what there is no room for, unacknowledged, so that the peer sends it again."""
        assert self._last_received_tsn is not None
        ahead = (chunk.tsn - self._last_received_tsn) % _TSN_MODULO
        if 0 < ahead < _HALF and not self._has_room(ahead, len(chunk.user_data)):
            if ahead == 1:
                # Nothing is missing, and still no message is complete.
                raise DataRefused("data_too_large", "The client sent a message without an end.")
            self.chunks_dropped += 1
            self._sack_needed = True
            return
        await super()._receive_data_chunk(chunk)

    def _has_room(self, ahead: int, size: int) -> bool:
        held = sum(len(stream.reassembly) for stream in self._inbound_streams.values())
        return ahead <= MAX_AHEAD and held < MAX_HELD and size <= self._advertised_rwnd

    def _get_inbound_stream(self, stream_id: int) -> InboundStream:
        if stream_id not in self._inbound_streams and len(self._inbound_streams) >= MAX_STREAMS:
            raise DataRefused("data_protocol", "The client uses too many SCTP streams.")
        return super()._get_inbound_stream(stream_id)

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if pp_id == WEBRTC_DCEP:
            await self._receive_control(stream_id, data)
            return
        channel = self._data_channels.get(stream_id)
        if channel is None:
            return
        if len(data) > MAX_MESSAGE:
            self.messages_dropped += 1
            return
        # An empty message travels as one byte (RFC 8831 section 6.6).
        empty = pp_id in (WEBRTC_STRING_EMPTY, WEBRTC_BINARY_EMPTY)
        self._on_message(channel.label, b"" if empty else data)

    async def _receive_control(self, stream_id: int, data: bytes) -> None:
        opening = data[0] == DATA_CHANNEL_OPEN
        if opening:
            self._check_open(stream_id, data)
        elif stream_id not in self._data_channels:
            return
        channel = self._data_channels.get(stream_id)
        before = channel.readyState if channel is not None else None
        await super()._data_channel_receive(stream_id, WEBRTC_DCEP, data)
        channel = self._data_channels.get(stream_id)
        if channel is not None and channel.readyState == "open" and before != "open":
            self._on_open(channel.label)

    def _check_open(self, stream_id: int, data: bytes) -> None:
        if stream_id in self._data_channels or len(data) < _OPEN_HEADER:
            raise DataRefused("data_protocol", "The client opened a data channel wrongly.")
        if len(self._data_channels) >= MAX_CHANNELS:
            raise DataRefused("data_too_many_channels", "The client opened too many data channels.")
        label, protocol = unpack_from("!HH", data, 8)
        if label > MAX_LABEL or _OPEN_HEADER + label + protocol > len(data):
            raise DataRefused("data_protocol", "The client opened a data channel wrongly.")

    async def _send_chunk(self, chunk: Chunk) -> None:
        """The engine's timers send from tasks nobody awaits: a closed transport is no error."""
        try:
            await super()._send_chunk(chunk)
        except ConnectionError:
            self._over = True

    def _fail(self, refusal: DataRefused) -> None:
        if not self._over:
            self.shut()
            self._on_failed(refusal)
