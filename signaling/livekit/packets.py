"""Data packets on their way through: the sender's true name, nobody else's.

The channel a message came on is what it is; the `kind` inside is not believed (the Python SDK says
LOSSY on the reliable channel). `sequence` passes untouched: receivers count by it.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from livekit.protocol import models

from signaling.domain.errors import Refusal
from signaling.domain.people import Participant
from signaling.ports import DataChannel

MAX_PACKET = 64_000
"""Bytes of one message: what the SDKs clamp to."""

_OPEN_TO_ALL = frozenset(
    {"user", "chat_message", "sip_dtmf", "stream_header", "stream_chunk", "stream_trailer"}
    | {"encrypted_packet"}
)
_FROM_AGENTS = frozenset({"transcription"})

_KINDS = {
    DataChannel.RELIABLE: models.DataPacket.Kind.RELIABLE,
    DataChannel.LOSSY: models.DataPacket.Kind.LOSSY,
}


def stamp(channel: DataChannel, payload: bytes, sender: Participant) -> bytes:
    """The packet as others may get it. Raises `Refusal`:

    `data_too_large`; `data_malformed`, not a DataPacket; `data_addressed`, for some only, which is
    not served and must never reach everybody; `data_kind`, of a kind this sender has no business
    sending (a server's speaker updates, an agent's transcriptions) or nobody can receive
    unaddressed.
    """
    if len(payload) > MAX_PACKET:
        raise Refusal("data_too_large", "The message is too large.")
    packet = models.DataPacket()
    try:
        packet.ParseFromString(payload)
    except DecodeError:
        raise Refusal("data_malformed", "The message cannot be read.") from None
    value = packet.WhichOneof("value")
    if _addressed(packet):
        raise Refusal("data_addressed", "Messages to named people are not served yet.")
    if value not in _OPEN_TO_ALL and not (sender.grant.agent and value in _FROM_AGENTS):
        raise Refusal("data_kind", "This kind of message is not relayed.")
    identity, sid = ("", "") if sender.hidden else (sender.identity, sender.sid)
    packet.kind = _KINDS[channel]
    packet.participant_identity = identity
    packet.participant_sid = sid
    if value == "user":
        packet.user.participant_identity = identity
        packet.user.participant_sid = sid
    return packet.SerializeToString()


def _addressed(packet: models.DataPacket) -> bool:
    return bool(
        packet.destination_identities
        or packet.user.destination_identities
        or packet.user.destination_sids
    )
