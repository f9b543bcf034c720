"""Session descriptions (RFC 8866) as far as WebRTC needs them: `parse`, `serialise`, the model."""

from sfu.sdp.fragment import Credentials, read_fragment
from sfu.sdp.model import (
    Candidate,
    Description,
    Direction,
    Extension,
    Fingerprint,
    Format,
    Msid,
    Rid,
    Section,
    Simulcast,
    Source,
    SourceGroup,
)
from sfu.sdp.parse import MAX_LENGTH, MAX_SECTIONS, parse
from sfu.sdp.serialise import serialise

__all__ = [
    "MAX_LENGTH",
    "MAX_SECTIONS",
    "Candidate",
    "Credentials",
    "Description",
    "Direction",
    "Extension",
    "Fingerprint",
    "Format",
    "Msid",
    "Rid",
    "Section",
    "Simulcast",
    "Source",
    "SourceGroup",
    "parse",
    "read_fragment",
    "serialise",
]
