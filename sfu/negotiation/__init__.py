"""Offers and answers: which section carries which track. Pure; a refused description changes
nothing.
"""

from sfu.negotiation.answerer import Answerer
from sfu.negotiation.offerer import Offerer
from sfu.negotiation.types import (
    Announced,
    Candidate,
    Fingerprint,
    FormatSpec,
    IncomingTrack,
    Kind,
    LocalTransport,
    Outcome,
    OutgoingTrack,
    RemoteTransport,
    Wanted,
)

__all__ = [
    "Announced",
    "Answerer",
    "Candidate",
    "Fingerprint",
    "FormatSpec",
    "IncomingTrack",
    "Kind",
    "LocalTransport",
    "Offerer",
    "Outcome",
    "OutgoingTrack",
    "RemoteTransport",
    "Wanted",
]
