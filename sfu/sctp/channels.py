"""The data channels of one peer, by label, whichever side opened them."""

from __future__ import annotations

from collections.abc import Callable

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from sfu.sctp.association import MAX_MESSAGE, Association, DataRefused

RELIABLE = "_reliable"
LOSSY = "_lossy"
SCTP_PORT = 5000

# Waiting for a client that is not taking it: what lossy data may add to, bytes.
LOSSY_BACKLOG = 128 * 1024
# What a client may owe us of reliable data before it is given up, bytes.
RELIABLE_BACKLOG = 4 * 1024 * 1024
# The same two bounds for messages so small that their bytes do not count.
LOSSY_MESSAGES = 512
RELIABLE_MESSAGES = 8192


class DataChannels:
    """Starts with the transport; callbacks come from within the engine, see `Association`."""

    def __init__(
        self,
        transport: RTCDtlsTransport,
        *,
        on_message: Callable[[str, bytes], None],
        on_open: Callable[[str], None],
        on_failed: Callable[[DataRefused], None],
    ) -> None:
        self._association = Association(
            transport, on_message=on_message, on_open=on_open, on_failed=on_failed
        )
        self._on_failed = on_failed

    async def start(
        self, *, remote_port: int = SCTP_PORT, max_message_size: int = MAX_MESSAGE
    ) -> None:
        """Begin the association; DTLS must be connected. Sizes and port as their SDP says."""
        await self._association.start(RTCSctpCapabilities(max_message_size), remote_port)

    def open_ours(self) -> None:
        """Open LiveKit's two channels from our side, for the peer that only receives."""
        for parameters in (
            RTCDataChannelParameters(label=RELIABLE),
            RTCDataChannelParameters(label=LOSSY, ordered=False, maxRetransmits=0),
        ):
            RTCDataChannel(self._association, parameters)

    def is_open(self, label: str) -> bool:
        return self._open(label) is not None

    def send(self, label: str, payload: bytes) -> bool:
        """Queue one message; False when it was dropped: not open, too long, or no room.

        A reliable message for which there is no room ends the peer with `data_backlog`, since
        leaving one out would break the channel's promise.
        """
        channel = self._open(label)
        if channel is None or len(payload) > MAX_MESSAGE:
            return False
        if not self._has_room(channel, len(payload)):
            if label == RELIABLE:
                self._association.shut()
                self._on_failed(
                    DataRefused("data_backlog", "The client does not take its reliable data.")
                )
            return False
        try:
            channel.send(payload)
        except ValueError:  # longer than the client said it takes
            return False
        return True

    def close(self) -> None:
        self._association.shut()

    def _open(self, label: str) -> RTCDataChannel | None:
        for channel in self._association._data_channels.values():
            if channel.label == label and channel.readyState == "open":
                return channel
        return None

    def _has_room(self, channel: RTCDataChannel, size: int) -> bool:
        """One queue carries all channels, so lossy data waits behind reliable data."""
        messages = len(self._association._data_channel_queue)
        if channel.label == RELIABLE:
            return (
                channel.bufferedAmount + size <= RELIABLE_BACKLOG and messages < RELIABLE_MESSAGES
            )
        waiting = sum(one.bufferedAmount for one in self._association._data_channels.values())
        return waiting + size <= LOSSY_BACKLOG and messages < LOSSY_MESSAGES
