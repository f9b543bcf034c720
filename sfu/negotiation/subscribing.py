"""To the client: which section carries which wanted track."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sfu.negotiation.codecs import Variant, variants
from sfu.negotiation.repair import group, pairs
from sfu.negotiation.types import FormatSpec, Kind, Wanted
from sfu.sdp import Format, Msid, Section, Source, SourceGroup


@dataclass(frozen=True, slots=True)
class Downstream:
    """A wanted track bound to a section. Once released it waits to be answered inactive."""

    wanted: Wanted
    ssrc: int
    repair_ssrc: int | None  # for video, whether the client comes to use it or not
    released: bool = False

    @property
    def ssrcs(self) -> frozenset[int]:
        return frozenset({self.ssrc} if self.repair_ssrc is None else {self.ssrc, self.repair_ssrc})


@dataclass(frozen=True, slots=True)
class Slot:
    """A section that the client receives in."""

    mid: str
    kind: Kind
    formats: tuple[FormatSpec, ...]  # what the client takes there
    downstream: Downstream | None = None

    @property
    def free(self) -> bool:
        """Carries nothing, or will not after the next answer."""
        return self.downstream is None or self.downstream.released


class Subscriptions:
    """What is wanted, and in which slot it is carried."""

    def __init__(self) -> None:
        self._wanted: dict[str, Wanted] = {}
        self._slots: dict[str, Slot] = {}
        self._unservable: frozenset[str] = frozenset()  # judged anew with every offer
        self._refused: frozenset[str] = frozenset()  # until unwanted

    def want(self, wanted: Wanted) -> None:
        """Idempotent. A track wanted with other particulars than before is bound anew."""
        if self._wanted.get(wanted.track_id) not in (None, wanted):
            self.unwant(wanted.track_id)
        self._wanted[wanted.track_id] = wanted

    def unwant(self, track_id: str) -> None:
        """Idempotent. The slot is released, and its SSRC not used again."""
        self._wanted.pop(track_id, None)
        self._unservable -= {track_id}
        self._refused -= {track_id}
        for mid, slot in self._slots.items():
            bound = slot.downstream
            if bound is not None and bound.wanted.track_id == track_id:
                self._slots[mid] = replace(slot, downstream=replace(bound, released=True))

    def bound(self) -> dict[str, Downstream]:
        """By mid, what is carried and still wanted."""
        return {
            slot.mid: slot.downstream
            for slot in self._slots.values()
            if slot.downstream is not None and not slot.downstream.released
        }

    def occupied(self) -> frozenset[str]:
        """The mids that the next answer cannot put anything else into."""
        return frozenset(mid for mid, slot in self._slots.items() if slot.downstream is not None)

    def ssrcs(self) -> frozenset[int]:
        """Every SSRC that is carried."""
        return frozenset().union(*(bound.ssrcs for bound in self.bound().values()))

    def released(self) -> bool:
        """Whether something waits to be answered inactive."""
        return any(slot.downstream is not None and slot.free for slot in self._slots.values())

    def unbound(self, kind: Kind) -> list[Wanted]:
        """What of one kind is wanted, could be carried, and is not; oldest first."""
        carried = {bound.wanted.track_id for bound in self.bound().values()}
        return [
            wanted
            for key, wanted in self._wanted.items()
            if wanted.kind == kind and key not in carried | self._unservable | self._refused
        ]

    def free(self, kind: Kind) -> int:
        """How many slots of one kind the next answer or the one after could use."""
        return sum(1 for slot in self._slots.values() if slot.kind == kind and slot.free)

    def assign(self, offered: Sequence[Slot], new_ssrc: Callable[[], int]) -> Assignment:
        """Where everything wanted would go, given the slots of a new offer. Changes nothing.

        A slot whose track is not wanted any more stays empty this time: to LiveKit clients, one
        stream's end and another's start in the same section are no event.
        """
        slots: dict[str, Slot] = {}
        taken: dict[str, frozenset[Variant]] = {}
        resting: set[str] = set()
        for slot in offered:
            before = self._slots.get(slot.mid)
            kept = before.downstream if before is not None else None
            carries = variants(slot.formats)
            if kept is not None and (
                kept.released or carries.isdisjoint(variants(kept.wanted.formats))
            ):
                resting.add(slot.mid)
                kept = None
            slots[slot.mid] = replace(slot, downstream=kept)
            taken[slot.mid] = carries
        carried = {s.downstream.wanted.track_id for s in slots.values() if s.downstream is not None}
        unservable: set[str] = set()
        for wanted in self._wanted.values():
            if wanted.track_id in carried | self._refused:
                continue
            of_kind = [slot for slot in slots.values() if slot.kind == wanted.kind]
            given = variants(wanted.formats)
            fitting = [slot for slot in of_kind if not given.isdisjoint(taken[slot.mid])]
            empty = [s for s in of_kind if s.downstream is None and s.mid not in resting]
            usable = next((s for s in empty if not given.isdisjoint(taken[s.mid])), None)
            if usable is not None:
                ssrc = new_ssrc()
                repair = new_ssrc() if wanted.kind == "video" else None
                bound = Downstream(wanted, ssrc, repair)
                slots[usable.mid] = replace(usable, downstream=bound)
            elif of_kind and not any(s.mid in resting for s in fitting) and (empty or not fitting):
                # Nothing fits, or what is empty does not: asking for more would never end.
                unservable.add(wanted.track_id)
        return Assignment(slots, tuple(sorted(unservable)))

    def commit(self, assignment: Assignment) -> Changes:
        """The assignment is in force. What was unwanted while it was on its way is released."""
        before, self._slots = self._slots, {}
        for mid, slot in assignment.slots.items():
            self._slots[mid] = self._still(slot, before.get(mid))
        self._unservable = frozenset(assignment.unservable)
        return _changes(before, self._slots)

    def refuse(self, track_ids: Iterable[str]) -> None:
        """The client showed that it cannot take these; they are not tried again."""
        self._refused |= frozenset(track_ids)

    def _still(self, slot: Slot, before: Slot | None) -> Slot:
        bound = slot.downstream
        if bound is None:
            return slot
        old = before.downstream if before is not None else None
        was_released = old is not None and old.ssrc == bound.ssrc and old.released
        if not was_released and self._wanted.get(bound.wanted.track_id) == bound.wanted:
            return slot
        return replace(slot, downstream=replace(bound, released=True))


def _changes(before: Mapping[str, Slot], after: Mapping[str, Slot]) -> Changes:
    old = {(s.mid, s.downstream.ssrc): s.downstream for s in before.values() if s.downstream}
    new = {(s.mid, s.downstream.ssrc): s.downstream for s in after.values() if s.downstream}
    added = [mid for (mid, _), bound in (new.items() - old.items()) if not bound.released]
    gone = [bound.wanted.track_id for key, bound in old.items() if key not in new]
    return Changes(frozenset(added), tuple(gone))


@dataclass(frozen=True, slots=True)
class Changes:
    """Mids that carry something new, ids of tracks that lost their section."""

    added: frozenset[str]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """Slots by mid, and the tracks that none of them could ever carry."""

    slots: Mapping[str, Slot]
    unservable: tuple[str, ...]

    def carried(self) -> Iterator[tuple[str, Downstream]]:
        for mid, slot in self.slots.items():
            if slot.downstream is not None:
                yield mid, slot.downstream


def unused(new_ssrc: Callable[[], int], taken: Collection[int]) -> Callable[[], int]:
    """`new_ssrc` without what is taken: the client's own SSRCs must not come back at it."""
    used = set(taken)

    def draw() -> int:
        ssrc = new_ssrc()
        while ssrc in used:
            ssrc = new_ssrc()
        used.add(ssrc)
        return ssrc

    return draw


@dataclass(frozen=True, slots=True)
class StreamLines:
    """What a section says of the streams that we send in it: nothing, by default."""

    msids: tuple[Msid, ...] = ()
    sources: tuple[Source, ...] = ()
    groups: tuple[SourceGroup, ...] = ()


def stream_lines(
    ssrc: int, repair_ssrc: int | None, cname: str, stream: str, track: str
) -> StreamLines:
    """The `a=msid`, `a=ssrc` and `a=ssrc-group` lines; `repair_ssrc` only where it is used."""
    sources = [Source(ssrc, "cname", cname), Source(ssrc, "msid", f"{stream} {track}")]
    if repair_ssrc is None:
        return StreamLines((Msid(stream, track),), tuple(sources))
    sources += [replace(source, ssrc=repair_ssrc) for source in sources]
    return StreamLines((Msid(stream, track),), tuple(sources), group(ssrc, repair_ssrc))


def lines_of(bound: Downstream | None, formats: Iterable[Format]) -> StreamLines:
    """The lines of a section with these formats that carries a track, or none."""
    if bound is None:
        return StreamLines()
    wanted = bound.wanted
    repair_ssrc = bound.repair_ssrc if pairs(formats) else None
    return stream_lines(bound.ssrc, repair_ssrc, wanted.cname, wanted.stream_id, wanted.track_id)


def takes_nack(section: Section, formats: Sequence[FormatSpec]) -> bool:
    """Whether the section's author sends NACK for one of these formats."""
    types = {spec.payload_type for spec in formats}
    return any("nack" in entry.feedback for entry in section.formats if entry.payload_type in types)
