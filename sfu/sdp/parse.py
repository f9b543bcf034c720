"""Reads a session description written by somebody who may be hostile.

Strict where safety hangs on it (sizes, structure, ICE credentials, fingerprints, identification
tags), lenient elsewhere: lines that are unknown or make no sense are passed over. Nothing but
`SdpError` is ever raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sfu.errors import SdpError
from sfu.sdp.attributes import Attributes, Media, malformed, media_line, number
from sfu.sdp.model import Description, Direction, Section

# Chromium spends 3 KB on a section on average, 5 KB on a video section at worst.
MAX_LENGTH = 512 * 1024  # characters
MAX_SECTIONS = 128
MAX_LINES = 512  # of one section, and of the part before the first; browsers stay under 200
MAX_LINE = 2048  # characters


def parse(text: str) -> Description:
    """The description in `text`.

    Raises `SdpError` with `sdp_too_large`, `sdp_too_many_sections`, `sdp_malformed`, and
    `sdp_no_ice` for credentials that RFC 8839 section 5.4 does not allow.
    """
    if len(text) > MAX_LENGTH:
        raise SdpError("sdp_too_large", f"The description is longer than {MAX_LENGTH} characters.")
    # RFC 8866 section 5 ends every line; what does not end was cut short.
    if not text.endswith("\n"):
        raise malformed("it is empty or cut short")
    # Counted before anything is built from it.
    if text.count("\nm=") > MAX_SECTIONS:
        raise SdpError("sdp_too_many_sections", f"More than {MAX_SECTIONS} media sections.")
    session_lines, *section_lines = _split(text)
    session, identity = _session(session_lines)
    sections = tuple(_section(lines, session) for lines in section_lines)
    _check_identification(sections, session.bundle)
    mixed = session.extmap_allow_mixed
    return Description(
        session_id=identity[0],
        session_version=identity[1],
        sections=sections,
        bundle=tuple(session.bundle),
        ice_lite=session.ice_lite,
        extmap_allow_mixed=mixed or _all_allow_mixed(section_lines),
    )


_Line = tuple[str, str]  # type letter, value


def _split(text: str) -> list[list[_Line]]:
    """The lines before the first `m=`, then the lines of each section."""
    parts: list[list[_Line]] = [[]]
    for line in lines_of(text):
        if line[0] == "m":
            parts.append([])
        if len(parts[-1]) == MAX_LINES:
            raise malformed(f"a section has more than {MAX_LINES} lines")
        parts[-1].append(line)
    return parts


def lines_of(text: str) -> Iterator[_Line]:
    """(type letter, value) of each line. Raises `SdpError` `sdp_malformed`."""
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if not line:
            continue
        if len(line) > MAX_LINE:
            raise malformed(f"a line is longer than {MAX_LINE} characters")
        if len(line) < 2 or line[1] != "=" or not line[0].isascii() or not line[0].islower():
            raise malformed("a line does not start with a type and an equals sign")
        if not line.isprintable() and not line.replace("\t", "").isprintable():
            raise malformed("a line holds control characters")
        yield line[0], line[2:]


def _session(lines: Sequence[_Line]) -> tuple[Attributes, tuple[int, int]]:
    if not lines or lines[0] != ("v", "0"):
        raise malformed("it does not start with v=0")
    identity: tuple[int, int] | None = None
    attributes = Attributes()
    for letter, value in lines[1:]:
        if letter == "o" and identity is None:
            identity = _origin(value)
        elif letter == "a":
            attributes.read(value)
    if identity is None:
        raise malformed("it has no o= line")
    return attributes, identity


def _origin(value: str) -> tuple[int, int]:
    parts = value.split()
    if len(parts) != 6:
        raise malformed("its o= line does not have six parts")
    session_id, version = number(parts[1], 2**64 - 1), number(parts[2], 2**64 - 1)
    if session_id is None or version is None:
        raise malformed("its o= line has no session id or version")
    return session_id, version


def _section(lines: Sequence[_Line], session: Attributes) -> Section:
    media: Media = media_line(lines[0][1])
    own = Attributes()
    address = "0.0.0.0"  # noqa: S104 - the placeholder of RFC 8839, nothing is bound
    for letter, value in lines[1:]:
        if letter == "a":
            own.read(value)
        elif letter == "c":
            address = _address(value) or address
    section = Section(
        kind=media.kind,
        mid=own.mid,
        port=media.port,
        address=address,
        protocol=media.protocol,
        format_names=() if media.is_rtp else media.formats,
        bundle_only=own.bundle_only,
        ufrag=own.ufrag or session.ufrag,
        password=own.password or session.password,
        fingerprints=tuple(own.fingerprints or session.fingerprints),
        setup=own.setup or session.setup,
        sctp_port=own.sctp_port,
        max_message_size=own.max_message_size,
        end_of_candidates=own.end_of_candidates,
    )
    if not media.is_rtp:
        return section
    return replace(
        section,
        formats=own.payload_formats(media.formats),
        direction=own.direction or session.direction or Direction.SENDRECV,
        rtcp_mux=own.rtcp_mux,
        rtcp_rsize=own.rtcp_rsize,
        extensions=tuple(own.extensions.values()),
        msids=tuple(own.msids),
        rids=tuple(own.rids.values()),
        simulcast=own.simulcast,
        sources=tuple(own.sources),
        source_groups=tuple(own.source_groups),
    )


def _address(value: str) -> str | None:
    parts = value.split()
    if len(parts) != 3 or not re.fullmatch(r"[0-9a-fA-F.:]{1,64}", parts[2]):
        return None  # a name, or nonsense: this address is never used
    return parts[2]


def _check_identification(sections: Sequence[Section], bundle: Sequence[str]) -> None:
    mids = [section.mid for section in sections if section.mid]
    if len(set(mids)) != len(mids):
        raise malformed("two sections have one identification tag")
    if len(set(bundle)) != len(bundle):
        raise malformed("its bundle names a section twice")
    # Also what an offer cut between two sections looks like.
    if not set(bundle) <= set(mids):
        raise malformed("its bundle names a section that is not there")


def _all_allow_mixed(section_lines: Sequence[Sequence[_Line]]) -> bool:
    """RFC 8285 section 6 allows the attribute per section; Firefox writes it so."""
    rtp = [lines for lines in section_lines if "RTP/" in lines[0][1]]
    return bool(rtp) and all(("a", "extmap-allow-mixed") in lines for lines in rtp)
