"""The sections of an offer as whoever answers it sees them, and what an answer says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sfu.negotiation.codecs import (
    FEEDBACK_RECEIVING,
    FEEDBACK_SENDING,
    OPUS_FROM_CLIENT,
    recognised,
)
from sfu.negotiation.extensions import TRANSPORT_SEQUENCE, accepted
from sfu.negotiation.publishing import OfferedMedia
from sfu.negotiation.repair import repairs
from sfu.negotiation.transport import DATA_PROTOCOLS, RTP_PROTOCOLS, bundled
from sfu.negotiation.types import FormatSpec, Kind
from sfu.sdp import Description, Direction, Extension, Format, Section

SCTP_PORT: Final = 5000  # RFC 8841 section 5.1, what everybody uses
MAX_MESSAGE_SIZE: Final = 65_535  # bytes; LiveKit clients send at most 64,000


def offered_media(offer: Description) -> list[OfferedMedia]:
    """The RTP sections that can be used at all; the others are refused."""
    found = []
    for section in bundled(offer):
        kind: Kind
        if section.kind == "audio":
            kind = "audio"
        elif section.kind == "video":
            kind = "video"
        else:
            continue
        formats = recognised(kind, section.formats)
        if formats and section.protocol in RTP_PROTOCOLS:
            extensions = accepted(section.extensions, mixed=offer.extmap_allow_mixed)
            if kind == "audio" and section.direction.sends:
                extensions = _without_numbers(extensions)
            found.append(OfferedMedia(section, kind, formats, extensions))
    return found


def _without_numbers(extensions: Sequence[Extension]) -> tuple[Extension, ...]:
    """A client's sound is not part of what it adapts to its uplink. libwebrtc sets aside as much as
    the codec takes alone and sends twice of it with redundancy (RFC 2198), so that its pictures
    would overfill a narrow link as long as it lasts.
    """
    return tuple(entry for entry in extensions if entry.uri != TRANSPORT_SEQUENCE)


def data_section(offer: Description) -> Section | None:
    """The first section for data channels; there is one association per bundle."""
    for section in bundled(offer):
        if (
            section.kind == "application"
            and section.protocol in DATA_PROTOCOLS
            and section.format_names == ("webrtc-datachannel",)
        ):
            return section
    return None


def answered_formats(
    media: OfferedMedia, specs: Sequence[FormatSpec], *, receives: bool, sends: bool
) -> tuple[Format, ...]:
    """The offered formats, and behind them those that repair them."""
    formats = (_answered(media, spec, receives=receives, sends=sends) for spec in specs)
    return (*formats, *repairs(media.section.formats, specs))


def _answered(media: OfferedMedia, spec: FormatSpec, *, receives: bool, sends: bool) -> Format:
    """The offered format with the feedback that is really given or heeded in this section."""
    offered = next(
        entry for entry in media.section.formats if entry.payload_type == spec.payload_type
    )
    wanted: frozenset[str] = frozenset()
    if receives:
        wanted |= FEEDBACK_RECEIVING[media.kind]
    if sends or not receives:  # an idle section is one that we may send in later
        wanted |= FEEDBACK_SENDING[media.kind]
    if TRANSPORT_SEQUENCE not in {entry.uri for entry in media.extensions}:
        wanted -= {"transport-cc"}
    feedback = tuple(entry for entry in offered.feedback if entry in wanted)
    fmtp = OPUS_FROM_CLIENT if receives and spec.codec == "opus" else offered.fmtp
    return replace(offered, feedback=feedback, fmtp=fmtp)


def data_answer(section: Section) -> Section:
    """The section for data channels, accepted."""
    return Section(
        kind=section.kind,
        mid=section.mid,
        protocol=section.protocol,
        format_names=section.format_names,
        sctp_port=SCTP_PORT,
        max_message_size=MAX_MESSAGE_SIZE,
    )


def refusal(section: Section) -> Section:
    """The section refused (RFC 3264 section 6)."""
    return Section(
        kind=section.kind,
        mid=section.mid,
        port=0,
        protocol=section.protocol,
        format_names=section.format_names,
        direction=Direction.INACTIVE,
    )
