"""The answering side of one transport that the client offers on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from sfu.errors import SdpError
from sfu.negotiation import publishing
from sfu.negotiation.codecs import carried, recognised
from sfu.negotiation.extensions import sent
from sfu.negotiation.publishing import Binding, Ended, OfferedMedia, Upstream
from sfu.negotiation.repair import pairs, repairs
from sfu.negotiation.sections import (
    answered_formats,
    data_answer,
    data_section,
    offered_media,
    refusal,
)
from sfu.negotiation.subscribing import (
    Assignment,
    Downstream,
    Slot,
    Subscriptions,
    lines_of,
    takes_nack,
    unused,
)
from sfu.negotiation.transport import on_transport, remote_transport
from sfu.negotiation.types import (
    Announced,
    IncomingTrack,
    Kind,
    LocalTransport,
    Outcome,
    OutgoingTrack,
    Wanted,
)
from sfu.sdp import MAX_SECTIONS, Description, Direction, Section, fragment_head, parse, serialise


class Answerer:
    """Answers one client's offers: LiveKit's single transport, or the publisher one.

    With `receive_only` nothing is ever sent to the client on this transport.
    """

    def __init__(self, local: LocalTransport, *, receive_only: bool = False) -> None:
        self._local = local
        self._receive_only = receive_only
        self._subscriptions = Subscriptions()
        self._upstream: dict[str, Upstream] = {}
        self._ended: dict[str, Ended] = {}
        self._ended_since: tuple[str, ...] = ()
        self._version = 0
        self._sections = 0

    def want(self, wanted: Wanted) -> None:
        """From the next answers on, carry this track to the client. Idempotent."""
        self._subscriptions.want(wanted)

    def unwant(self, track_id: str) -> None:
        """No longer carry it; its section is answered inactive once before it is used again."""
        self._subscriptions.unwant(track_id)

    def restarted(self, local: LocalTransport) -> None:
        """Our credentials are others from now on."""
        self._local = local

    def end_track(self, track_id: str) -> None:
        """End a track of the client's; its section is answered inactive from now on."""
        for mid, bound in list(self._upstream.items()):
            if bound.track.track_id == track_id:
                del self._upstream[mid]
                self._ended[mid] = Ended(bound.label)
                self._ended_since += (track_id,)

    def missing(self) -> tuple[int, int]:
        """(audio, video) receiving sections that the client must still add, within the cap."""
        room = max(0, MAX_SECTIONS - self._sections)
        audio = min(self._lacking("audio"), room)
        return audio, min(self._lacking("video"), room - audio)

    def needs_negotiation(self) -> bool:
        """Whether another offer would change something."""
        if self._subscriptions.released() or not all(end.told for end in self._ended.values()):
            return True
        bindable = any(
            self._subscriptions.unbound(kind) and self._subscriptions.free(kind) for kind in _KINDS
        )
        return not self._receive_only and (bindable or self.missing() != (0, 0))

    def answer(
        self, offer_sdp: str, announced: Sequence[Announced], new_ssrc: Callable[[], int]
    ) -> Outcome:
        """The answer, and what it changes. `new_ssrc` draws SSRCs never used on this transport.

        Raises `SdpError`; everything is then as it was.
        """
        offer = parse(offer_sdp)
        if len(offer.sections) < self._sections:
            raise SdpError("sdp_malformed", "The offer dropped a section (RFC 3264 section 8).")
        remote = remote_transport(offer)
        offered = offered_media(offer)
        announced_ssrcs = publishing.check_bundle(offered)
        binding = publishing.bind(offered, self._upstream, self._ended, announced)
        assignment = self._subscriptions.assign(
            self._slots(offered), unused(new_ssrc, announced_ssrcs | self._subscriptions.ssrcs())
        )
        answers = _Answers(offer, offered, binding, assignment, self._local)
        description = answers.description(self._local.session_id, self._version + 1)
        sdp = serialise(description)
        added, removed = publishing.changes(self._upstream, binding.upstream)
        changes = self._subscriptions.commit(assignment)
        ended_since, self._ended_since = self._ended_since, ()
        self._upstream, self._ended = binding.upstream, binding.ended
        self._sections = len(offer.sections)
        self._version += 1
        return Outcome(
            sdp=sdp,
            remote=remote,
            incoming_added=tuple(_with_answered_fmtp(track, description) for track in added),
            incoming_removed=ended_since + removed,
            outgoing_added=answers.outgoing(changes.added),
            outgoing_removed=changes.removed,
            mid_to_track={mid: bound.wanted.track_id for mid, bound in assignment.carried()},
            data_channel=any(s.kind == "application" and s.port for s in description.sections),
            parked=binding.parked,
            fragment_head=fragment_head(description),
            unservable=assignment.unservable,
        )

    def _lacking(self, kind: Kind) -> int:
        if self._receive_only:
            return 0
        unbound = len(self._subscriptions.unbound(kind))
        return max(0, unbound - self._subscriptions.free(kind))

    def _slots(self, offered: Sequence[OfferedMedia]) -> list[Slot]:
        """Where we may send; sections that carry nothing upstream first."""
        if self._receive_only:
            return []
        receiving = [media for media in offered if media.section.direction.receives]
        receiving.sort(key=lambda media: media.section.direction.sends)
        return [Slot(media.section.mid, media.kind, media.formats) for media in receiving]


_KINDS: tuple[Kind, Kind] = ("audio", "video")


def _with_answered_fmtp(track: IncomingTrack, answer: Description) -> IncomingTrack:
    """The client sends by the parameters of our answer, not by those of its offer."""
    section = next(section for section in answer.sections if section.mid == track.mid)
    return replace(track, formats=recognised(track.kind, section.formats))


@dataclass(frozen=True, slots=True)
class _Answers:
    """One offer's sections and the answer to each."""

    offer: Description
    offered: Sequence[OfferedMedia]
    binding: Binding
    assignment: Assignment
    local: LocalTransport

    def description(self, session_id: int, version: int) -> Description:
        """As many sections as the offer, in its order (RFC 3264 section 6)."""
        media = {entry.section.mid: entry for entry in self.offered}
        data = data_section(self.offer)
        sections: list[Section] = []
        bundle: list[str] = []
        for section in self.offer.sections:
            if section.mid in media:
                answer = self._media(media[section.mid])
            elif section is data:
                answer = data_answer(section)
            else:
                sections.append(refusal(section))
                continue
            first = not bundle
            sections.append(on_transport(answer, self.local, "passive", first=first))
            bundle.append(section.mid)
        return Description(
            session_id=session_id,
            session_version=version,
            sections=tuple(sections),
            bundle=tuple(bundle),
            ice_lite=True,
            extmap_allow_mixed=self.offer.extmap_allow_mixed,
        )

    def outgoing(self, added: Collection[str]) -> tuple[OutgoingTrack, ...]:
        """What the sections with these mids carry."""
        media = {entry.section.mid: entry for entry in self.offered}
        return tuple(
            _outgoing(media[mid], bound) for mid, bound in self.assignment.carried() if mid in added
        )

    def _media(self, media: OfferedMedia) -> Section:
        section = media.section
        slot = self.assignment.slots.get(section.mid)
        downstream = slot.downstream if slot is not None else None
        upstream = self.binding.upstream.get(section.mid)
        receives = upstream is not None
        formats = upstream.track.formats if upstream is not None else media.formats
        if downstream is not None and not receives:
            formats = carried(downstream.wanted, media.formats)
        rids, simulcast = publishing.simulcast_answer(media) if receives else ((), None)
        answered = answered_formats(media, formats, receives=receives, sends=downstream is not None)
        lines = lines_of(downstream, answered)
        return Section(
            kind=section.kind,
            mid=section.mid,
            protocol=section.protocol,
            formats=answered,
            direction=Direction.of(sends=downstream is not None, receives=receives),
            rtcp_mux_only=section.rtcp_mux_only,
            rtcp_rsize=section.rtcp_rsize,
            extensions=media.extensions,
            rids=rids,
            simulcast=simulcast,
            msids=lines.msids,
            sources=lines.sources,
            source_groups=lines.groups,
        )


def _outgoing(media: OfferedMedia, bound: Downstream) -> OutgoingTrack:
    wanted = bound.wanted
    formats = carried(wanted, media.formats)
    repair_formats = pairs(repairs(media.section.formats, formats))
    return OutgoingTrack(
        track_id=wanted.track_id,
        mid=media.section.mid,
        kind=wanted.kind,
        ssrc=bound.ssrc,
        formats=formats,
        extensions=sent(media.extensions, media.section.formats),
        nack=takes_nack(media.section, formats),
        cname=wanted.cname,
        repair_ssrc=bound.repair_ssrc if repair_formats else None,
        repair_formats=repair_formats,
    )
