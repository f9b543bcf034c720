"""Which layer answers a wish, by what the publisher said of its layers: a simulcast encoding, or a
spatial layer of the one stream where the format has them. Pure.
"""

from __future__ import annotations

from signaling.domain.grants import TrackSource
from signaling.domain.tracks import Layer, MediaKind, Track
from signaling.domain.viewing import USUAL_PRIORITY, Quality, TrackSetting, View

TOLERANCE = 0.9
"""A layer is large enough at nine tenths of the height asked for, as in LiveKit: what shows it is
seldom exactly as large, and the next layer costs several times as much.
"""
USUAL_HEIGHTS = (180, 360)
"""Of the lower encodings, where the publisher does not say."""
SPATIAL_LAYERS = 3
"""Of a stream that may have any, where the publisher does not say; each is twice as large as the
one below (L3T3_KEY, as LiveKit's SDKs send VP9 and AV1). A stream that has fewer is sent whole.
"""

_SCALABLE = frozenset({"video/vp9", "video/av1"})
SCREEN_PRIORITY = 2
"""What somebody shows everybody goes before faces."""
_FIRST_PRIORITY = 255
_LEAST_CHOSEN = 100  # what a subscriber ranks itself goes before what it does not

_QUALITIES = (Quality.LOW, Quality.MEDIUM, Quality.HIGH)
_LARGE = 1 << 16  # pixels; more than anybody shows


def view_of(track: Track, setting: TrackSetting) -> View:
    """What is carried of a track for a wish."""
    if setting.disabled or setting.quality is Quality.OFF:
        return View(paused=True)
    priority = _priority(track, setting)
    if track.kind is MediaKind.AUDIO:
        return View(priority=priority)
    frame_rate = setting.frame_rate or None
    count = layers_of(track)
    if count < 2:
        return View(frame_rate=frame_rate, priority=priority)
    if setting.width > 0 and setting.height > 0:
        wanted = setting.height * TOLERANCE
        enough = [height >= wanted for height in _heights(track)]
    else:
        enough = [quality >= setting.quality for quality in _qualities(track)]
    layer = enough.index(True) if True in enough else len(enough) - 1
    return View(layer=min(layer, count - 1), frame_rate=frame_rate, priority=priority)


def quality_of(track: Track, view: View) -> Quality:
    """The quality by which the publisher knows the layer of a view. Whoever wants the highest layer
    wants all that can be had.
    """
    if view.paused:
        return Quality.OFF
    if view.layer is None or view.layer >= layers_of(track) - 1:
        return Quality.HIGH
    return _qualities(track)[view.layer]


def layers_of(track: Track) -> int:
    """How many layers a subscriber can choose among."""
    if track.layers > 1 or track.mime_type.lower() not in _SCALABLE:
        return track.layers
    return max(len(_told(track)), 1) if _told(track) else SPATIAL_LAYERS


def _priority(track: Track, setting: TrackSetting) -> int:
    if setting.priority:
        return max(_FIRST_PRIORITY + 1 - setting.priority, _LEAST_CHOSEN)
    screen = track.wish.source is TrackSource.SCREEN_SHARE
    return SCREEN_PRIORITY if screen else USUAL_PRIORITY


def _qualities(track: Track) -> list[Quality]:
    """Lowest layer first."""
    count = layers_of(track)
    declared = [Quality[layer.quality] for layer in _declared(track)]
    more = count - len(_QUALITIES)
    return declared or [*_QUALITIES[:count], *[Quality.HIGH] * more]


def _heights(track: Track) -> list[int]:
    """Pixels, lowest layer first."""
    declared = [layer.height for layer in _declared(track)]
    if declared and all(declared):
        return declared
    full = track.wish.height or _LARGE
    count = layers_of(track)
    if track.layers == 1:
        return [full >> halvings for halvings in range(count - 1, -1, -1)]
    return [*USUAL_HEIGHTS[: count - 1], full]


def _declared(track: Track) -> list[Layer]:
    """The layers that the publisher told of, lowest first; none when it sends another number."""
    told = _told(track)
    return told if len(told) == layers_of(track) else []


def _told(track: Track) -> list[Layer]:
    wish = track.wish
    layers = (wish.codecs[0].layers if wish.codecs else ()) or wish.layers
    by_quality = {layer.quality: layer for layer in layers}
    return [by_quality[quality.name] for quality in _QUALITIES if quality.name in by_quality]
