"""Offers and answers: which section carries which track. Pure; a refused description changes
nothing.
"""

from sfu.negotiation.answerer import Answerer
from sfu.negotiation.extensions import PIPED_EXTENSIONS
from sfu.negotiation.offered import OfferedSection, read_offer
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
from sfu.negotiation.viewing import Viewer

__all__ = [
    "PIPED_EXTENSIONS",
    "Announced",
    "Answerer",
    "Candidate",
    "Fingerprint",
    "FormatSpec",
    "IncomingTrack",
    "Kind",
    "LocalTransport",
    "OfferedSection",
    "Offerer",
    "Outcome",
    "OutgoingTrack",
    "RemoteTransport",
    "Viewer",
    "Wanted",
    "read_offer",
]
