"""Which simulcast layer answers a wish, by what the publisher said of its layers. Pure."""

from __future__ import annotations

from signaling.domain.grants import TrackSource
from signaling.domain.tracks import Layer, MediaKind, Track
from signaling.domain.viewing import USUAL_PRIORITY, Quality, TrackSetting, View

TOLERANCE = 0.9
"""A layer is large enough at nine tenths of the height asked for, as in LiveKit: what shows it is
seldom exactly as large, and the next layer costs several times as much.
"""
USUAL_HEIGHTS = (180, 360)
"""Of the lower layers, where the publisher does not say."""

SCREEN_PRIORITY = 2
"""What somebody shows everybody goes before faces."""
_FIRST_PRIORITY = 255
_LEAST_CHOSEN = 100  # what a subscriber ranks itself goes before what it does not

_QUALITIES = (Quality.LOW, Quality.MEDIUM, Quality.HIGH)
_LARGE = 1 << 16  # pixels; more than anybody shows


def view_of(track: Track, setting: TrackSetting) -> View:
    """What is carried of a track for a wish; all or nothing where there are no layers."""
    if setting.disabled or setting.quality is Quality.OFF:
        return View(paused=True)
    priority = _priority(track, setting)
    if track.kind is MediaKind.AUDIO or track.layers < 2:
        return View(priority=priority)
    if setting.width > 0 and setting.height > 0:
        wanted = setting.height * TOLERANCE
        enough = [height >= wanted for height in _heights(track)]
    else:
        enough = [quality >= setting.quality for quality in _qualities(track)]
    layer = enough.index(True) if True in enough else len(enough) - 1
    return View(layer=min(layer, track.layers - 1), priority=priority)


def quality_of(track: Track, view: View) -> Quality:
    """The quality by which the publisher knows the layer of a view. Whoever wants the highest layer
    wants all that can be had.
    """
    if view.paused:
        return Quality.OFF
    if view.layer is None or view.layer >= track.layers - 1:
        return Quality.HIGH
    return _qualities(track)[view.layer]


def _priority(track: Track, setting: TrackSetting) -> int:
    if setting.priority:
        return max(_FIRST_PRIORITY + 1 - setting.priority, _LEAST_CHOSEN)
    screen = track.wish.source is TrackSource.SCREEN_SHARE
    return SCREEN_PRIORITY if screen else USUAL_PRIORITY


def _qualities(track: Track) -> list[Quality]:
    """Lowest layer first."""
    declared = [Quality[layer.quality] for layer in _declared(track)]
    more = track.layers - len(_QUALITIES)
    return declared or [*_QUALITIES, *[Quality.HIGH] * more]


def _heights(track: Track) -> list[int]:
    """Pixels, lowest layer first."""
    declared = [layer.height for layer in _declared(track)]
    if declared and all(declared):
        return declared
    return [*USUAL_HEIGHTS[: track.layers - 1], track.wish.height or _LARGE]


def _declared(track: Track) -> list[Layer]:
    """The layers that the publisher told of, lowest first; none when it sends another number."""
    wish = track.wish
    layers = (wish.codecs[0].layers if wish.codecs else ()) or wish.layers
    by_quality = {layer.quality: layer for layer in layers}
    told = [by_quality[quality.name] for quality in _QUALITIES if quality.name in by_quality]
    return told if len(told) == track.layers else []
