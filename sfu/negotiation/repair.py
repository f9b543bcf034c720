"""Retransmission streams (RFC 4588): their formats, and which stream they repair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sfu.negotiation.codecs import CLOCK_RATE, parameters
from sfu.negotiation.types import FormatSpec
from sfu.sdp import Format, Section, SourceGroup

NAME: Final = "rtx"
GROUP: Final = "FID"  # RFC 5576 section 4.2, as RFC 4588 section 8.3 uses it


def repairs(formats: Iterable[Format], specs: Iterable[FormatSpec]) -> tuple[Format, ...]:
    """The first retransmission format of each of `specs`, in their order.

    Video only: sound is sent again on its own stream, since no client offers another.
    """
    by_original: dict[int, Format] = {}
    for entry in formats:
        original = repaired(entry)
        if original is not None:
            by_original.setdefault(original, entry)
    types = [spec.payload_type for spec in specs]
    return tuple(by_original[original] for original in types if original in by_original)


def repaired(entry: Format) -> int | None:
    """The payload type that a retransmission format repairs; None for any other format."""
    if entry.name.lower() != NAME or entry.clock_rate != CLOCK_RATE["video"]:
        return None
    original = parameters(entry.fmtp).get("apt", "")
    if not original.isascii() or not original.isdigit() or len(original) > 3:
        return None
    return int(original)


def pairs(formats: Iterable[Format]) -> tuple[tuple[int, int], ...]:
    """(payload type, payload type it repairs) of those that are retransmission formats."""
    found = ((entry.payload_type, repaired(entry)) for entry in formats)
    return tuple((number, original) for number, original in found if original is not None)


def streams(section: Section) -> tuple[tuple[int, int], ...]:
    """The (media SSRC, retransmission SSRC) pairs that a section announces, each SSRC once."""
    found: list[tuple[int, int]] = []
    seen: set[int] = set()
    for group in section.source_groups:
        if group.semantics == GROUP and len(group.ssrcs) == 2 and seen.isdisjoint(group.ssrcs):
            media, repair = group.ssrcs
            if media != repair:
                found.append((media, repair))
                seen |= {media, repair}
    return tuple(found)


def format_of(payload_type: int, original: int) -> Format:
    """A retransmission format as we offer it."""
    return Format(payload_type, NAME, CLOCK_RATE["video"], fmtp=f"apt={original}")


def group(ssrc: int, repair_ssrc: int) -> tuple[SourceGroup, ...]:
    """The `a=ssrc-group` line of a pair."""
    return (SourceGroup(GROUP, (ssrc, repair_ssrc)),)
