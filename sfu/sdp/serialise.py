"""Writes a session description; the inverse of `parse` for everything the model holds."""

from __future__ import annotations

from collections.abc import Iterator

from sfu.sdp.model import Candidate, Description, Direction, Section


def serialise(description: Description) -> str:
    """The description as text with CRLF line ends.

    Raises `ValueError` when a value holds a line break: nothing may smuggle a line in.
    """
    lines = [*_session(description)]
    for section in description.sections:
        lines.extend(_section(section))
    for line in lines:
        if "\r" in line or "\n" in line:
            raise ValueError("a line break inside a value of a session description")
    return "\r\n".join(lines) + "\r\n"


def _session(description: Description) -> Iterator[str]:
    yield "v=0"
    yield f"o=- {description.session_id} {description.session_version} IN IP4 127.0.0.1"
    yield "s=-"
    yield "t=0 0"
    if description.bundle:
        yield "a=group:BUNDLE " + " ".join(description.bundle)
    if description.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield "a=msid-semantic: WMS *"
    if description.ice_lite:
        yield "a=ice-lite"


def _section(section: Section) -> Iterator[str]:
    names = section.format_names
    if section.is_rtp:
        names = tuple(str(entry.payload_type) for entry in section.formats)
    # A rejected section still needs a format on its m-line (RFC 8866 section 5.14).
    yield f"m={section.kind} {section.port} {section.protocol} {' '.join(names) or '0'}"
    family = "IP6" if ":" in section.address else "IP4"
    yield f"c=IN {family} {section.address}"
    if section.mid:
        yield f"a=mid:{section.mid}"
    if section.bundle_only:
        yield "a=bundle-only"
    yield from _transport(section)
    if section.is_rtp:
        yield from _rtp(section)
    if section.sctp_port is not None:
        yield f"a=sctp-port:{section.sctp_port}"
    if section.max_message_size is not None:
        yield f"a=max-message-size:{section.max_message_size}"


def _transport(section: Section) -> Iterator[str]:
    for candidate in section.candidates:
        yield f"a=candidate:{candidate_value(candidate)}"
    if section.end_of_candidates:
        yield "a=end-of-candidates"
    if section.ufrag is not None:
        yield f"a=ice-ufrag:{section.ufrag}"
    if section.password is not None:
        yield f"a=ice-pwd:{section.password}"
    for fingerprint in section.fingerprints:
        yield f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}"
    if section.setup is not None:
        yield f"a=setup:{section.setup}"


def candidate_value(candidate: Candidate) -> str:
    """What stands behind `a=candidate:` (RFC 8839 section 5.1)."""
    text = (
        f"{candidate.foundation} 1 {candidate.protocol} {candidate.priority} "
        f"{candidate.ip} {candidate.port} typ {candidate.type}"
    )
    # RFC 6544 section 4.5: a lite agent only listens.
    return text + " tcptype passive" if candidate.protocol == "tcp" else text


def _rtp(section: Section) -> Iterator[str]:
    yield f"a={section.direction}"
    if section.rtcp_mux:
        yield "a=rtcp-mux"
    if section.rtcp_mux_only:
        yield "a=rtcp-mux-only"
    if section.rtcp_rsize:
        yield "a=rtcp-rsize"
    for extension in section.extensions:
        suffix = "" if extension.direction is Direction.SENDRECV else f"/{extension.direction}"
        yield f"a=extmap:{extension.id}{suffix} {extension.uri}"
    for entry in section.formats:
        channels = f"/{entry.channels}" if entry.channels > 1 else ""
        yield f"a=rtpmap:{entry.payload_type} {entry.name}/{entry.clock_rate}{channels}"
        for feedback in entry.feedback:
            yield f"a=rtcp-fb:{entry.payload_type} {feedback}"
        if entry.fmtp:
            yield f"a=fmtp:{entry.payload_type} {entry.fmtp}"
    for msid in section.msids:
        yield f"a=msid:{msid.stream} {msid.track}".rstrip()
    for rid in section.rids:
        yield f"a=rid:{rid.id} {rid.direction} {rid.restrictions}".rstrip()
    if section.simulcast is not None:
        sides = (("send", section.simulcast.send), ("recv", section.simulcast.recv))
        parts = [
            f"{side} {';'.join(','.join(stream) for stream in streams)}"
            for side, streams in sides
            if streams
        ]
        yield "a=simulcast:" + " ".join(parts)
    for group in section.source_groups:
        yield f"a=ssrc-group:{group.semantics} {' '.join(map(str, group.ssrcs))}"
    for source in section.sources:
        value = f":{source.value}" if source.value else ""
        yield f"a=ssrc:{source.ssrc} {source.attribute}{value}"
