"""What a track is, as its publisher described it and the media plane completed it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from signaling.domain.grants import TrackSource


class MediaKind(enum.StrEnum):
    AUDIO = "audio"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Layer:
    """One simulcast or spatial layer. Pixels and bit/s; `quality` is LOW, MEDIUM, HIGH or OFF."""

    quality: str
    width: int = 0
    height: int = 0
    bitrate: int = 0
    spatial_layer: int = 0
    rid: str = ""


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding of a track. `layer_mode` is a name of LiveKit's VideoLayer.Mode."""

    mime_type: str
    cid: str
    layers: tuple[Layer, ...] = ()
    layer_mode: str = "MODE_UNUSED"


@dataclass(frozen=True, slots=True)
class TrackWish:
    """An announced track (AddTrack). Words the server only passes on are kept as LiveKit's enum
    names, so that nothing unknown is ever relayed to a client.
    """

    cid: str
    kind: MediaKind
    source: TrackSource
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    stream: str = ""
    stereo: bool = False
    disable_dtx: bool = False
    disable_red: bool = False
    encryption: str = "NONE"
    backup_codec_policy: str = "PREFER_REGRESSION"
    layers: tuple[Layer, ...] = ()
    codecs: tuple[Codec, ...] = ()
    audio_features: tuple[str, ...] = ()

    @property
    def redundant(self) -> bool:
        """Whether its sound may be carried with redundancy (RFC 2198): its publisher allows it, and
        the server can look into it.
        """
        return not self.disable_red and self.encryption == "NONE"


@dataclass(frozen=True, slots=True)
class Track:
    """A track under its sid. `mime_type` and `mid` are empty until its media is negotiated;
    `layers` is the number of simulcast encodings that were accepted.
    """

    sid: str
    wish: TrackWish
    muted: bool
    mime_type: str = ""
    mid: str = ""
    layers: int = 1

    @property
    def kind(self) -> MediaKind:
        return self.wish.kind
