"""From the client: which offered section carries which announced track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sfu.errors import SdpError
from sfu.negotiation.codecs import CLOCK_RATE, plain, redundant_first
from sfu.negotiation.extensions import RID, received
from sfu.negotiation.repair import pairs, repaired, repairs, streams
from sfu.negotiation.simulcast import grouped
from sfu.negotiation.types import Announced, FormatSpec, IncomingTrack, Kind
from sfu.sdp import Extension, Rid, Section, Simulcast

MAX_LAYERS: Final = 3  # more are refused; LiveKit clients send q, h, f
_LIVEKIT_LAYERS: Final = ("q", "h", "f")  # lowest first, whatever order they are offered in


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """A usable RTP section of an offer with what of it is taken."""

    section: Section
    kind: Kind
    formats: tuple[FormatSpec, ...]
    extensions: tuple[Extension, ...]  # as we answer them


@dataclass(frozen=True, slots=True)
class Upstream:
    """A track bound to a section, with the client's name for it at that time."""

    track: IncomingTrack
    label: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A section whose track we ended, until the client stops offering it."""

    label: str
    told: bool = False  # whether an answer has refused it


@dataclass(frozen=True, slots=True)
class Binding:
    """The result for one offer: bound by mid, still refused by mid, parked."""

    upstream: dict[str, Upstream]
    ended: dict[str, Ended]
    parked: int


def bind(
    offered: Sequence[OfferedMedia],
    before: Mapping[str, Upstream],
    ended: Mapping[str, Ended],
    announced: Sequence[Announced],
) -> Binding:
    """Match sending sections to tracks: what was bound stays, then by `cid`, then by age.

    Firefox writes another name into `a=msid` than its application knows, so what no section names
    goes, oldest first, to the unmatched sections of its kind.
    """
    upstream: dict[str, Upstream] = {}
    open_sections: list[OfferedMedia] = []
    for media in offered:
        if not media.section.direction.sends:
            continue
        bound = before.get(media.section.mid)
        if bound is not None and bound.label == _label(media.section):
            track = bound.track
            upstream[media.section.mid] = _bound(media, track.track_id, track.redundant)
        else:
            open_sections.append(media)
    taken = {bound.track.track_id for bound in upstream.values()}
    pending = [entry for entry in announced if entry.track_id not in taken]
    unnamed: list[OfferedMedia] = []
    for media in open_sections:
        named = _named(media, pending)
        if named is None:
            unnamed.append(media)
        else:
            pending.remove(named)
            upstream[media.section.mid] = _bound(media, named.track_id, named.redundant)
    refused: dict[str, Ended] = {}
    parked = 0
    for media in unnamed:
        end = ended.get(media.section.mid)
        if end is not None and end.label == _label(media.section):
            refused[media.section.mid] = Ended(end.label, told=True)
            continue
        oldest = next((entry for entry in pending if entry.kind == media.kind), None)
        if oldest is None:
            parked += 1
        else:
            pending.remove(oldest)
            upstream[media.section.mid] = _bound(media, oldest.track_id, oldest.redundant)
    return Binding(upstream, refused, parked)


def changes(
    before: Mapping[str, Upstream], after: Mapping[str, Upstream]
) -> tuple[tuple[IncomingTrack, ...], tuple[str, ...]]:
    """(added, removed ids); a track whose section or streams changed is in both."""
    old = {bound.track.track_id: bound.track for bound in before.values()}
    new = {bound.track.track_id: bound.track for bound in after.values()}
    kept = {key for key in old.keys() & new.keys() if _continues(old[key], new[key])}
    added = tuple(track for key, track in new.items() if key not in kept)
    return added, tuple(key for key in old if key not in kept)


def layers(media: OfferedMedia) -> tuple[str, ...]:
    """The simulcast layers that are accepted, in the order offered; empty without simulcast."""
    section = media.section
    if section.simulcast is None or RID not in {entry.uri for entry in media.extensions}:
        return ()
    sending = {rid.id for rid in section.rids if rid.direction == "send"}
    first_choices = (next((r for r in stream if r in sending), None) for stream in _streams(media))
    return tuple(dict.fromkeys(rid for rid in first_choices if rid is not None))[:MAX_LAYERS]


def simulcast_answer(media: OfferedMedia) -> tuple[tuple[Rid, ...], Simulcast | None]:
    """The `a=rid` and `a=simulcast` of our answer (RFC 8853 section 5.3.2)."""
    accepted = layers(media)
    if not accepted:
        return (), None
    streams = tuple((rid,) for rid in accepted)
    return tuple(Rid(rid, "recv") for rid in accepted), Simulcast(recv=streams)


def check_bundle(offered: Sequence[OfferedMedia]) -> frozenset[int]:
    """Every SSRC the offer announces.

    Raises `SdpError` `sdp_malformed` when two sections claim one, when a simulcast group cannot be
    true, or when one payload type means different codecs (RFC 9143 section 9.1).
    """
    seen: set[int] = set()
    meanings: dict[int, str] = {}
    for media in offered:
        own = {source.ssrc for source in media.section.sources}
        if own & seen:
            raise SdpError("sdp_malformed", "Two media sections announce the same SSRC.")
        seen |= own
        grouped(media.section)
        for spec in media.formats:
            if meanings.setdefault(spec.payload_type, spec.codec) != spec.codec:
                raise SdpError("sdp_malformed", "One payload type means two codecs.")
        for entry in repairs(media.section.formats, media.formats):
            meaning = f"repairs {repaired(entry)}"
            if meanings.setdefault(entry.payload_type, meaning) != meaning:
                raise SdpError("sdp_malformed", "One payload type means two codecs.")
    return frozenset(seen)


def _streams(media: OfferedMedia) -> tuple[tuple[str, ...], ...]:
    simulcast = media.section.simulcast
    return simulcast.send if simulcast is not None else ()


def _named(media: OfferedMedia, pending: Sequence[Announced]) -> Announced | None:
    names = _names(media.section)
    matching = (entry for entry in pending if entry.cid in names and entry.kind == media.kind)
    return next(matching, None)


def _label(section: Section) -> str:
    return next(iter(_names(section)), "")


def _names(section: Section) -> tuple[str, ...]:
    """The client's names for the track of a section: the second word of each msid form."""
    names = [msid.track for msid in section.msids]
    for source in section.sources:
        if source.attribute == "msid":
            names.append(source.value.partition(" ")[2].strip())
    return tuple(dict.fromkeys(name for name in names if name))


def _bound(media: OfferedMedia, track_id: str, redundant: bool) -> Upstream:
    formats = redundant_first(media.formats) if redundant else plain(media.formats)
    repair_formats = pairs(repairs(media.section.formats, media.formats))
    track = IncomingTrack(
        track_id=track_id,
        mid=media.section.mid,
        kind=media.kind,
        clock_rate=CLOCK_RATE[media.kind],
        formats=formats,
        extensions=received(media.extensions),
        encodings=_encodings(media),
        nack=_answers_nack(media),
        repair_formats=repair_formats,
        repair_streams=streams(media.section) if repair_formats else (),
        redundant=redundant,
    )
    return Upstream(track, _label(media.section))


def _answers_nack(media: OfferedMedia) -> bool:
    types = {spec.payload_type for spec in media.formats}
    formats = (entry for entry in media.section.formats if entry.payload_type in types)
    return any("nack" in entry.feedback for entry in formats)


def _encodings(media: OfferedMedia) -> tuple[str, ...]:
    rids = layers(media)
    if rids:
        if set(rids) <= set(_LIVEKIT_LAYERS):
            rids = tuple(sorted(rids, key=_LIVEKIT_LAYERS.index))
        return tuple(f"rid:{rid}" for rid in rids)
    layered = grouped(media.section)[:MAX_LAYERS]
    if len(layered) > 1:
        return tuple(f"ssrc:{ssrc}" for ssrc in layered)
    groups = media.section.source_groups
    secondary = {ssrc for group in groups if group.semantics != "SIM" for ssrc in group.ssrcs[1:]}
    primary = {source.ssrc for source in media.section.sources} - secondary
    return (f"ssrc:{primary.pop()}",) if len(primary) == 1 else ("mid",)


def _continues(old: IncomingTrack, new: IncomingTrack) -> bool:
    """Whether packets described by `old` are still described; fmtp may change under way."""
    numbered = {(entry.payload_type, entry.codec) for entry in new.formats}
    return (
        (old.mid, old.kind, old.encodings, old.nack) == (new.mid, new.kind, new.encodings, new.nack)
        and all((entry.payload_type, entry.codec) in numbered for entry in old.formats)
        and set(old.extensions) <= set(new.extensions)
        and set(old.repair_formats) <= set(new.repair_formats)
        and set(old.repair_streams) <= set(new.repair_streams)
    )
