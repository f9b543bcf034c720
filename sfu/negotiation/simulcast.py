"""Simulcast told by an SSRC group instead of RIDs, as older libwebrtc and munged offers have it:
`a=ssrc-group:SIM` names the layers of one track, lowest first.
"""

from __future__ import annotations

from typing import Final

from sfu.errors import SdpError
from sfu.negotiation.repair import GROUP as REPAIR
from sfu.sdp import Section

GROUP: Final = "SIM"  # never standardised; libwebrtc's name for it


def grouped(section: Section) -> tuple[int, ...]:
    """The SSRCs of a section's simulcast layers, lowest first; empty without such a group.

    Raises `SdpError` `sdp_malformed` where the group cannot be true: a second one, an SSRC that is
    named twice or that the section does not announce, a retransmission stream for a layer.
    """
    groups = [group.ssrcs for group in section.source_groups if group.semantics == GROUP]
    if not groups or section.kind != "video":
        return ()
    if len(groups) > 1:
        raise _malformed("A media section has two simulcast groups.")
    (ssrcs,) = groups
    if len(set(ssrcs)) != len(ssrcs):
        raise _malformed("A simulcast group names one SSRC twice.")
    if not set(ssrcs) <= {source.ssrc for source in section.sources}:
        raise _malformed("A simulcast group names an SSRC that its section does not announce.")
    repairs = {
        ssrc
        for group in section.source_groups
        if group.semantics == REPAIR
        for ssrc in group.ssrcs[1:]
    }
    if repairs & set(ssrcs):
        raise _malformed("A simulcast group names a retransmission stream.")
    return ssrcs


def _malformed(sentence: str) -> SdpError:
    return SdpError("sdp_malformed", sentence)
