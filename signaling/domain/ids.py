"""LiveKit's identifiers: a prefix that says what it names, then twelve random characters."""

from __future__ import annotations

import string

PARTICIPANT = "PA_"
ROOM = "RM_"

ENTROPY_BYTES = 16
"""Bytes one identifier is made from: 128 bits folded into 62^12 leave no bias worth a name."""

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 12

# LiveKit puts a kind and a source letter behind TR_; clients test only the prefix.
_KIND_LETTERS = {"audio": "A", "video": "V"}
_SOURCE_LETTERS = {
    "camera": "C",
    "microphone": "M",
    "screen_share": "S",
    "screen_share_audio": "s",
}


def make_sid(prefix: str, entropy: bytes) -> str:
    """`prefix` and twelve characters of [A-Za-z0-9] drawn from `ENTROPY_BYTES` random bytes."""
    number = int.from_bytes(entropy, "big")
    characters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return prefix + "".join(characters)


def track_prefix(kind: str, source: str) -> str:
    """`TR_` with LiveKit's letters, e.g. `TR_AM` for a microphone."""
    return f"TR_{_KIND_LETTERS[kind]}{_SOURCE_LETTERS.get(source, 'U')}"
