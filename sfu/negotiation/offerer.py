"""The offering side of one transport: LiveKit's subscriber transport, media to the client only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sfu.errors import SdpError
from sfu.negotiation.codecs import (
    CLOCK_RATE,
    FEEDBACK_SENDING,
    MIME_TYPE,
    carried,
    recognised,
)
from sfu.negotiation.extensions import OFFERED, numbered
from sfu.negotiation.repair import format_of, pairs, repairs
from sfu.negotiation.sections import MAX_MESSAGE_SIZE, SCTP_PORT
from sfu.negotiation.subscribing import (
    Assignment,
    Downstream,
    Slot,
    Subscriptions,
    lines_of,
    takes_nack,
    unused,
)
from sfu.negotiation.transport import (
    DATA_PROTOCOLS,
    RTP_PROTOCOLS,
    on_transport,
    remote_transport,
)
from sfu.negotiation.types import (
    Codec,
    FormatSpec,
    Kind,
    LocalTransport,
    Outcome,
    OutgoingTrack,
    RemoteTransport,
    Wanted,
)
from sfu.sdp import (
    MAX_SECTIONS,
    Description,
    Direction,
    Format,
    Section,
    parse,
    serialise,
)

_KINDS: Final[tuple[Kind, Kind]] = ("audio", "video")
_H264: Final = "level-asymmetry-allowed=1;packetization-mode={};profile-level-id={}"


def _spec(payload_type: int, codec: Codec, fmtp: str = "") -> FormatSpec:
    return FormatSpec(payload_type, codec, MIME_TYPE[codec], fmtp)


# Numbered as LiveKit's own server numbers them. H.264's high profile is left out, as there: not
# every browser decodes it.
FORMATS: Final[dict[Kind, tuple[FormatSpec, ...]]] = {
    "audio": (_spec(111, "opus", "minptime=10;useinbandfec=1"), _spec(63, "red", "111/111")),
    "video": (
        _spec(96, "vp8"),
        _spec(98, "vp9", "profile-id=0"),
        _spec(100, "vp9", "profile-id=2"),
        _spec(125, "h264", _H264.format(1, "42e01f")),
        _spec(108, "h264", _H264.format(0, "42e01f")),
        _spec(39, "h264", _H264.format(1, "4d001f")),
        _spec(106, "h264", _H264.format(0, "4d001f")),
        _spec(35, "av1"),
    ),
}
# What repairs each of the pictures' formats.
_REPAIRS: Final = {96: 97, 98: 99, 100: 101, 125: 107, 108: 109, 39: 40, 106: 105, 35: 36}


@dataclass(frozen=True, slots=True)
class _Pending:
    """An offer on its way."""

    assignment: Assignment
    sections: tuple[Section, ...]  # as offered


class Offerer:
    """Offers one client everything it wants, one section per track, data channels first.

    One offer is on its way at a time; the caller pairs answers with offers.
    """

    def __init__(self, local: LocalTransport) -> None:
        self._local = local
        self._subscriptions = Subscriptions()
        self._kinds: dict[str, Kind] = {}  # by mid, every media section of the last answer
        self._dead: frozenset[str] = frozenset()  # refused by the client, and so for good
        self._pending: _Pending | None = None
        self._answered = False
        self._version = 0

    def want(self, wanted: Wanted) -> None:
        """Offer this track from the next offer on. Idempotent."""
        self._subscriptions.want(wanted)
        if not carried(wanted, FORMATS[wanted.kind]):
            self._subscriptions.refuse([wanted.track_id])

    def unwant(self, track_id: str) -> None:
        """No longer carry it; its section is offered inactive once before it is used again."""
        self._subscriptions.unwant(track_id)

    def needs_negotiation(self) -> bool:
        """Whether an offer is due. Never while one is on its way: ask again after its answer."""
        if self._pending is not None:
            return False
        if not self._answered or self._subscriptions.released():
            return True
        room = len(self._kinds) + 1 < MAX_SECTIONS
        return any(
            self._subscriptions.unbound(kind) and (room or self._subscriptions.free(kind))
            for kind in _KINDS
        )

    def offer(self, new_ssrc: Callable[[], int]) -> str:
        """The next offer; it takes the place of one that was not answered."""
        kinds = dict(self._kinds)
        for kind in _KINDS:
            empty = self._empty(kind)
            for _ in range(len(self._subscriptions.unbound(kind)) - empty):
                if len(kinds) + 1 < MAX_SECTIONS:
                    kinds[str(len(kinds) + 1)] = kind
        slots = [
            Slot(mid, kind, FORMATS[kind]) for mid, kind in kinds.items() if mid not in self._dead
        ]
        taken = self._subscriptions.ssrcs()
        assignment = self._subscriptions.assign(slots, unused(new_ssrc, taken))
        bound = dict(assignment.carried())
        sections = [_data_section()]
        for mid, kind in kinds.items():
            dead = mid in self._dead
            sections.append(_shell(mid, kind) if dead else _section(mid, kind, bound.get(mid)))
        self._version += 1
        description = Description(
            session_id=self._local.session_id,
            session_version=self._version,
            sections=tuple(
                on_transport(section, self._local, "actpass", first=index == 0)
                if not section.rejected
                else section
                for index, section in enumerate(sections)
            ),
            bundle=tuple(section.mid for section in sections if not section.rejected),
            ice_lite=True,
            extmap_allow_mixed=True,
        )
        self._pending = _Pending(assignment, description.sections)
        return serialise(description)

    def accept_answer(self, answer_sdp: str) -> Outcome:
        """What the client made of the last offer; `sdp` is empty.

        Raises `SdpError`, `sdp_unexpected` without an offer on its way; everything is then as it
        was, the offer still open.
        """
        pending = self._pending
        if pending is None:
            raise SdpError("sdp_unexpected", "There is an answer, but no offer to answer.")
        answer = parse(answer_sdp)
        _check_shape(pending.sections, answer)
        remote = _remote(answer)
        in_use = {s.mid: s for s in answer.sections if s.mid in answer.bundle and not s.rejected}
        taken: dict[str, OutgoingTrack] = {}
        refused: list[str] = []
        for offered in pending.sections:
            slot = pending.assignment.slots.get(offered.mid)
            if slot is None or slot.downstream is None:
                continue
            track = _outgoing(offered, in_use.get(offered.mid), slot.downstream)
            if track is None:
                refused.append(slot.downstream.wanted.track_id)
            else:
                taken[offered.mid] = track
        slots = {
            mid: slot if mid in taken else replace(slot, downstream=None)
            for mid, slot in pending.assignment.slots.items()
            if mid in in_use
        }
        media = [section for section in pending.sections if section.kind != "application"]
        self._kinds = {section.mid: _kind(section) for section in media}
        self._dead = frozenset(self._kinds) - in_use.keys()
        changes = self._subscriptions.commit(replace(pending.assignment, slots=slots))
        self._subscriptions.refuse(refused)
        self._pending, self._answered = None, True
        return Outcome(
            sdp="",
            remote=remote,
            outgoing_added=tuple(taken[mid] for mid in taken if mid in changes.added),
            outgoing_removed=changes.removed,
            mid_to_track=_map(self._subscriptions.bound()),
            data_channel=pending.sections[0].mid in in_use,
            unservable=(*pending.assignment.unservable, *refused),
        )

    def _empty(self, kind: Kind) -> int:
        """Sections of a kind that the next offer can use at once."""
        alive = {mid for mid, of in self._kinds.items() if of == kind} - self._dead
        return len(alive - self._subscriptions.occupied())


def _data_section() -> Section:
    return Section(
        kind="application",
        mid="0",
        protocol=DATA_PROTOCOLS[0],
        format_names=("webrtc-datachannel",),
        sctp_port=SCTP_PORT,
        max_message_size=MAX_MESSAGE_SIZE,
    )


def _shell(mid: str, kind: Kind) -> Section:
    """What is left of a section that the client refused."""
    return Section(kind, mid, port=0, direction=Direction.INACTIVE)


def _section(mid: str, kind: Kind, bound: Downstream | None) -> Section:
    """One track's section, or an idle one."""
    specs = FORMATS[kind]
    if bound is not None:
        specs = carried(bound.wanted, specs)
    formats = tuple(_format(kind, spec) for spec in specs)
    formats += tuple(
        format_of(_REPAIRS[spec.payload_type], spec.payload_type)
        for spec in specs
        if spec.payload_type in _REPAIRS
    )
    lines = lines_of(bound, formats)
    return Section(
        kind=kind,
        mid=mid,
        protocol=RTP_PROTOCOLS[0],
        formats=formats,
        direction=Direction.of(sends=bound is not None, receives=False),
        rtcp_rsize=True,
        extensions=OFFERED[kind],
        msids=lines.msids,
        sources=lines.sources,
        source_groups=lines.groups,
    )


def _format(kind: Kind, spec: FormatSpec) -> Format:
    return Format(
        payload_type=spec.payload_type,
        name=spec.mime_type.partition("/")[2],
        clock_rate=CLOCK_RATE[kind],
        channels=2 if kind == "audio" else 1,
        fmtp=spec.fmtp,
        feedback=tuple(sorted(FEEDBACK_SENDING[kind])),
    )


def _check_shape(offered: tuple[Section, ...], answer: Description) -> None:
    """RFC 3264 section 6: as many sections, in the same order."""
    shapes = [(s.kind, s.mid) for s in offered if not s.rejected]
    answered = [
        (theirs.kind, theirs.mid)
        for ours, theirs in zip(offered, answer.sections, strict=False)
        if not ours.rejected
    ]
    if len(answer.sections) != len(offered) or answered != shapes:
        raise SdpError("sdp_malformed", "The answer's sections are not those of the offer.")


def _remote(answer: Description) -> RemoteTransport:
    remote = remote_transport(answer)
    if remote.setup != "active":  # RFC 5763 section 5: an answer has to choose
        raise SdpError("sdp_setup", "The answer has to take the DTLS client role.")
    return remote


def _outgoing(
    offered: Section, answered: Section | None, bound: Downstream
) -> OutgoingTrack | None:
    """The track as the client takes it, or None when it does not."""
    if answered is None or not answered.direction.receives:
        return None
    wanted = bound.wanted
    kept = {(spec.payload_type, spec.codec) for spec in recognised(wanted.kind, answered.formats)}
    formats = tuple(
        spec
        for spec in recognised(wanted.kind, offered.formats)
        if (spec.payload_type, spec.codec) in kept
    )
    if not formats:
        return None
    offered_repairs = frozenset(pairs(offered.formats))
    repair_formats = tuple(
        pair for pair in pairs(repairs(answered.formats, formats)) if pair in offered_repairs
    )
    return OutgoingTrack(
        track_id=wanted.track_id,
        mid=offered.mid,
        kind=wanted.kind,
        ssrc=bound.ssrc,
        formats=formats,
        extensions=_extensions(offered, answered),
        nack=takes_nack(answered, formats),
        cname=wanted.cname,
        repair_ssrc=bound.repair_ssrc if repair_formats else None,
        repair_formats=repair_formats,
    )


def _extensions(offered: Section, answered: Section) -> tuple[tuple[int, str], ...]:
    theirs = {(entry.id, entry.uri) for entry in answered.extensions if entry.direction.receives}
    both = tuple((e.id, e.uri) for e in offered.extensions if (e.id, e.uri) in theirs)
    return numbered(both, answered.formats)


def _kind(section: Section) -> Kind:
    return "audio" if section.kind == "audio" else "video"


def _map(bound: Mapping[str, Downstream]) -> dict[str, str]:
    return {mid: downstream.wanted.track_id for mid, downstream in bound.items()}
