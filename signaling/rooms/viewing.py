"""How each participant of a room wants each track shown, and what that asks of publishers. Pure;
times are monotonic seconds.
"""

from __future__ import annotations

from signaling.domain.tracks import MediaKind, Track
from signaling.domain.viewing import Quality, TrackSetting, View
from signaling.rooms.demand import Demand
from signaling.rooms.layers import quality_of, view_of


class Viewing:
    """The settings of one room, and the demand for its video tracks."""

    def __init__(self) -> None:
        self._first: dict[str, TrackSetting] = {}
        self._settings: dict[str, dict[str, TrackSetting]] = {}
        self._demands: dict[str, Demand] = {}

    def enter(self, sid: str, *, adaptive: bool) -> None:
        """Somebody came. `adaptive`: until it says what it shows, little is enough. It cannot be
        nothing: some clients ask for more only once they see something.
        """
        self._first[sid] = TrackSetting(quality=Quality.LOW if adaptive else Quality.HIGH)
        self._settings[sid] = {}

    def leave(self, sid: str, now: float) -> None:
        self._first.pop(sid, None)
        self._settings.pop(sid, None)
        for demand in self._demands.values():
            demand.want(sid, Quality.OFF, now)

    def publish(self, track: Track, now: float) -> None:
        if track.kind is MediaKind.VIDEO:
            self._demands[track.sid] = Demand(now)

    def forget_track(self, track_sid: str) -> None:
        self._demands.pop(track_sid, None)
        for settings in self._settings.values():
            settings.pop(track_sid, None)

    def set(self, sid: str, track_sid: str, setting: TrackSetting) -> bool:
        """Remember a wish for a track that is there; whether it is another than before."""
        settings = self._settings[sid]
        if settings.get(track_sid) == setting:
            return False
        settings[track_sid] = setting
        return True

    def show(self, sid: str, track: Track, now: float) -> View:
        """What somebody who hears a track is to be given of it."""
        setting = self._settings[sid].get(track.sid, self._first[sid])
        view = view_of(track, setting)
        demand = self._demands.get(track.sid)
        if demand is not None:
            demand.want(sid, quality_of(track, view), now)
        return view

    def hide(self, sid: str, track_sid: str, now: float) -> None:
        """Somebody no longer hears a track; what it wanted of it stays for the next time."""
        demand = self._demands.get(track_sid)
        if demand is not None:
            demand.want(sid, Quality.OFF, now)

    def repeat(self, track_sid: str) -> None:
        """The publisher unmutes: it may have begun anew."""
        demand = self._demands.get(track_sid)
        if demand is not None:
            demand.repeat()

    def due(self, track_sid: str, now: float) -> Quality | None:
        """What a track's publisher is to be told now, if anything."""
        demand = self._demands.get(track_sid)
        return None if demand is None else demand.due(now)

    def deadline(self, track_sid: str) -> float | None:
        demand = self._demands.get(track_sid)
        return None if demand is None else demand.deadline()
