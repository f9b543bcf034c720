"""What the media plane raises for mistakes of a remote.

    SdpError            a session description that cannot be used

Mistakes of the caller are `ValueError`, `KeyError` or `RuntimeError`, and our bug.
"""

from __future__ import annotations

from typing import Literal

SdpCode = Literal[
    "sdp_too_large",  # longer than any honest description
    "sdp_too_many_sections",
    "sdp_malformed",  # cut short, or not SDP
    "sdp_no_ice",  # no usable ICE credentials
    "sdp_no_fingerprint",
    "sdp_weak_fingerprint",  # nothing as strong as SHA-256
    "sdp_bundle",  # not one bundle with multiplexed RTCP
    "sdp_setup",  # would make us the DTLS client
    "sdp_unexpected",  # an answer to no offer
    "fragment_malformed",  # not an SDP fragment of ICE (RFC 8840)
    "ice_restart_unsupported",  # new credentials are not taken up
]


class SdpError(Exception):
    """A session description was refused; whoever raised it is as it was before.

    `code` is stable and for programs, `sentence` is for a person and quotes nothing secret.
    """

    def __init__(self, code: SdpCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code: SdpCode = code
        self.sentence = sentence
