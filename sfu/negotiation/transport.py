"""The one transport that a description's bundle shares (RFC 9143)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from sfu.errors import SdpError
from sfu.negotiation.types import LocalTransport, RemoteTransport
from sfu.sdp import Description, Fingerprint, Section

_STRONG: Final = ("sha-256", "sha-384", "sha-512")
RTP_PROTOCOLS: Final = ("UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "RTP/SAVPF")
DATA_PROTOCOLS: Final = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")


def bundled(description: Description) -> tuple[Section, ...]:
    """The sections of the bundle that are in use, in the description's order.

    Raises `SdpError` `sdp_bundle` when there is none, or one does not multiplex RTCP.
    """
    members = set(description.bundle)
    found = tuple(s for s in description.sections if s.mid in members and not s.rejected)
    if not found:
        raise SdpError("sdp_bundle", "The media sections are not bundled, which is required.")
    if any(section.is_rtp and not section.rtcp_mux for section in found):
        raise SdpError("sdp_bundle", "A bundled section does not multiplex RTCP (RFC 5761).")
    return found


def remote_transport(description: Description) -> RemoteTransport:
    """The client's transport, as the first section of its bundle describes it.

    Raises `SdpError` with `sdp_bundle`, `sdp_no_ice`, `sdp_no_fingerprint`,
    `sdp_weak_fingerprint`, `sdp_setup`.
    """
    sections = bundled(description)
    by_mid = {section.mid: section for section in sections}
    tagged = next(by_mid[mid] for mid in description.bundle if mid in by_mid)
    if tagged.ufrag is None or tagged.password is None:
        raise SdpError("sdp_no_ice", "The description has no ICE credentials.")
    fingerprints = _strong(tagged)
    for section in sections:
        if section.fingerprints and set(_strong(section)) != set(fingerprints):
            raise SdpError("sdp_bundle", "Bundled sections disagree about the fingerprint.")
    # RFC 8842 section 5.2: an offer says actpass; without a word, RFC 4145 means active.
    if tagged.setup in ("passive", "holdconn"):
        raise SdpError("sdp_setup", "This server takes only the DTLS server role.")
    setup: Literal["actpass", "active"] = "actpass" if tagged.setup == "actpass" else "active"
    return RemoteTransport(tagged.ufrag, tagged.password, fingerprints, setup)


def _strong(section: Section) -> tuple[Fingerprint, ...]:
    if not section.fingerprints:
        raise SdpError("sdp_no_fingerprint", "The description has no certificate fingerprint.")
    strong = tuple(entry for entry in section.fingerprints if entry.algorithm in _STRONG)
    if not strong:
        raise SdpError(
            "sdp_weak_fingerprint", "No certificate fingerprint is as strong as SHA-256."
        )
    return tuple(dict.fromkeys(strong))


def on_transport(section: Section, local: LocalTransport, setup: str, *, first: bool) -> Section:
    """The section with our transport in it; the candidates only in the bundle's first."""
    # RFC 8839 section 5.1: a lite agent names its default candidate in the m- and c-lines.
    default = next((entry for entry in local.candidates if entry.protocol == "udp"), None)
    return replace(
        section,
        port=9 if default is None else default.port,
        address=section.address if default is None else default.ip,
        ufrag=local.ufrag,
        password=local.password,
        fingerprints=local.fingerprints,
        setup=setup,
        rtcp_mux=section.is_rtp,
        candidates=local.candidates if first else (),
        end_of_candidates=first,
    )
