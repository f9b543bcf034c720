"""The answering side of a viewer, which offers once and never again (WHEP)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sfu.errors import SdpError
from sfu.negotiation import publishing
from sfu.negotiation.codecs import carried
from sfu.negotiation.extensions import sent
from sfu.negotiation.publishing import OfferedMedia
from sfu.negotiation.repair import pairs, repairs
from sfu.negotiation.sections import (
    answered_formats,
    data_answer,
    data_section,
    offered_media,
    refusal,
)
from sfu.negotiation.subscribing import StreamLines, stream_lines, takes_nack, unused
from sfu.negotiation.transport import on_transport, remote_transport
from sfu.negotiation.types import Announced, LocalTransport, Outcome, OutgoingTrack, Wanted
from sfu.sdp import Description, Direction, Section, fragment_head, parse, serialise


@dataclass(slots=True)
class _Place:
    """A section that the viewer receives in, under one SSRC for as long as the call lasts."""

    media: OfferedMedia
    ssrc: int
    repair_ssrc: int | None  # where RTX was offered
    carries: str | None = None  # a track's id


class Viewer:
    """Every receiving section is answered `sendonly` with an SSRC of its own, whether anything can
    be sent in it yet or not, so that what is wanted later can be put into it without a word to the
    client. A section carries one track at a time; it takes all formats that were offered.
    """

    def __init__(self, local: LocalTransport) -> None:
        self._local = local
        self._places: dict[str, _Place] = {}
        self._wanted: dict[str, Wanted] = {}
        self._answered = False
        # One stream for all sections (WHEP: a single MediaStream), one name for all in RTCP.
        self._stream = f"view-{local.session_id:x}"

    def want(self, wanted: Wanted) -> None:
        """Carry this track as soon as a section is free for it: see :meth:`fill`. Idempotent."""
        self._wanted[wanted.track_id] = wanted

    def unwant(self, track_id: str) -> None:
        """No longer carry it; its section is free for another. Idempotent."""
        self._wanted.pop(track_id, None)
        for place in self._places.values():
            if place.carries == track_id:
                place.carries = None

    def restarted(self, local: LocalTransport) -> None:
        """Our credentials are others from now on."""
        self._local = local

    def end_track(self, track_id: str) -> None:
        """A viewer has no tracks of its own."""

    def missing(self) -> tuple[int, int]:
        """A viewer cannot be asked for sections."""
        return 0, 0

    def needs_negotiation(self) -> bool:
        """A viewer cannot be asked for another offer."""
        return False

    def answer(
        self, offer_sdp: str, announced: Sequence[Announced], new_ssrc: Callable[[], int]
    ) -> Outcome:
        """The answer to the one offer. Raises `SdpError`; everything is then as it was."""
        if self._answered:
            raise SdpError("sdp_malformed", "A viewer makes one offer only.")
        offer = parse(offer_sdp)
        remote = remote_transport(offer)
        offered = offered_media(offer)
        draw = unused(new_ssrc, publishing.check_bundle(offered))
        places = {
            media.section.mid: _Place(media, draw(), draw() if _repairs(media) else None)
            for media in offered
            if media.section.direction.receives
        }
        description = self._description(offer, offered, places)
        sdp = serialise(description)
        self._places, self._answered = places, True
        added = self.fill()
        return Outcome(
            sdp=sdp,
            remote=remote,
            outgoing_added=added,
            mid_to_track={track.mid: track.track_id for track in added},
            data_channel=any(s.kind == "application" and s.port for s in description.sections),
            fragment_head=fragment_head(description),
        )

    def fill(self) -> tuple[OutgoingTrack, ...]:
        """Put what is wanted, oldest first, into free sections; what they carry from now on."""
        taken = {place.carries for place in self._places.values()}
        filled = []
        for wanted in self._wanted.values():
            if wanted.track_id in taken:
                continue
            for mid, place in self._places.items():
                formats = carried(wanted, place.media.formats)
                if place.carries is None and place.media.kind == wanted.kind and formats:
                    place.carries = wanted.track_id
                    filled.append(self._outgoing(mid, place, wanted))
                    break
        return tuple(filled)

    def _outgoing(self, mid: str, place: _Place, wanted: Wanted) -> OutgoingTrack:
        formats = carried(wanted, place.media.formats)
        repair_formats = _repairs(place.media)
        return OutgoingTrack(
            track_id=wanted.track_id,
            mid=mid,
            kind=wanted.kind,
            ssrc=place.ssrc,
            formats=formats,
            extensions=sent(place.media.extensions, place.media.section.formats),
            nack=takes_nack(place.media.section, formats),
            cname=self._stream,
            repair_ssrc=place.repair_ssrc,
            repair_formats=repair_formats,
        )

    def _description(
        self, offer: Description, offered: Sequence[OfferedMedia], places: dict[str, _Place]
    ) -> Description:
        media = {entry.section.mid: entry for entry in offered}
        data = data_section(offer)
        sections: list[Section] = []
        bundle: list[str] = []
        for section in offer.sections:
            if section.mid in media:
                answer = self._media(media[section.mid], places.get(section.mid))
            elif section is data:
                answer = data_answer(section)
            else:
                sections.append(refusal(section))
                continue
            first = not bundle
            sections.append(on_transport(answer, self._local, "passive", first=first))
            bundle.append(section.mid)
        return Description(
            session_id=self._local.session_id,
            session_version=1,
            sections=tuple(sections),
            bundle=tuple(bundle),
            ice_lite=True,
            extmap_allow_mixed=offer.extmap_allow_mixed,
        )

    def _media(self, media: OfferedMedia, place: _Place | None) -> Section:
        section = media.section
        formats = answered_formats(media, media.formats, receives=False, sends=True)
        lines = StreamLines()
        if place is not None:
            stream = self._stream
            lines = stream_lines(place.ssrc, place.repair_ssrc, stream, stream, media.kind)
        return Section(
            kind=section.kind,
            mid=section.mid,
            protocol=section.protocol,
            formats=formats,
            direction=Direction.of(sends=place is not None, receives=False),
            rtcp_mux_only=section.rtcp_mux_only,
            rtcp_rsize=section.rtcp_rsize,
            extensions=media.extensions,
            msids=lines.msids,
            sources=lines.sources,
            source_groups=lines.groups,
        )


def _repairs(media: OfferedMedia) -> tuple[tuple[int, int], ...]:
    """Of every format of the section, since it may come to carry another track."""
    return pairs(repairs(media.section.formats, media.formats))
