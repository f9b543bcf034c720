"""What the clients of these tests describe: sections of an SDP, and a description of them."""

from __future__ import annotations

from typing import Protocol

from sfu.sdp import Fingerprint


def _section(kind: str, *lines: str) -> str:
    """A section of `offer`, which fills in transport and MID."""
    head = (f"m={kind}", "c=IN IP4 0.0.0.0", "{transport}", "a=mid:{mid}")
    return "\n".join([*head, *lines, ""])


_AUDIO = "audio 9 UDP/TLS/RTP/SAVPF 111"
_VIDEO = "video 9 UDP/TLS/RTP/SAVPF 96"
_MID = "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid"
_RID = "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
_OPUS = "a=rtpmap:111 opus/48000/2"
_VP8 = ("a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack")

AUDIO_OUT = _section(
    _AUDIO,
    "a=sendonly",
    "a=rtcp-mux",
    "a=msid:stream mic",
    _MID,
    _OPUS,
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=ssrc:1001 cname:c",
)
AUDIO_IN = _section(_AUDIO, "a=recvonly", "a=rtcp-mux", _MID, _OPUS)
IDLE = AUDIO_OUT.replace("a=sendonly", "a=inactive")
VIDEO_OUT = _section(
    _VIDEO,
    "a=sendonly",
    "a=rtcp-mux",
    "a=msid:stream camera",
    _MID,
    _RID,
    *_VP8,
    "a=rid:q send",
    "a=rid:h send",
    "a=rid:f send",
    "a=simulcast:send q;h;f",
)
VIDEO_IN = _section(_VIDEO, "a=recvonly", "a=rtcp-mux", _MID, *_VP8)
DATA = _section(
    "application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
)


class Identity(Protocol):
    """Whoever has a certificate."""

    def fingerprint(self) -> Fingerprint: ...


def offer(client: Identity, *sections: str, ufrag: str = "abcd", answer: bool = False) -> str:
    """A client's description with these sections, bundled."""
    fingerprint = client.fingerprint()
    transport = "\n".join(
        [
            f"a=ice-ufrag:{ufrag}",
            "a=ice-pwd:0123456789abcdefghijkl",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
            f"a=setup:{'active' if answer else 'actpass'}",
        ]
    )
    mids = " ".join(str(number) for number in range(len(sections)))
    text = f"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE {mids}\n"
    for mid, section in enumerate(sections):
        text += section.format(transport=transport, mid=mid)
    return text.replace("\n", "\r\n")
