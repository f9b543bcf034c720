"""Tracks that were announced and wait for their media section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from signaling.domain.errors import Refusal
from signaling.domain.limits import Limits
from signaling.domain.tracks import Track


class PendingTracks:
    """Oldest first, capped, and forgotten after a while: a stale one would be taken for the next
    track of its kind, because Firefox's sections are matched by age.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tracks: dict[str, tuple[Track, float]] = {}

    def __len__(self) -> int:
        return len(self._tracks)

    def __iter__(self) -> Iterator[Track]:
        return iter([track for track, _ in self._tracks.values()])

    def add(self, track: Track, now: float) -> None:
        """Raises `Refusal` `too_many_pending_tracks`. `now` is monotonic seconds."""
        self.expire(now)
        if len(self._tracks) >= self._limits.pending_tracks:
            raise Refusal("too_many_pending_tracks", "Too many tracks wait for their media.")
        self._tracks[track.sid] = (track, now)

    def by_cid(self, cid: str) -> Track | None:
        return next((track for track in self if track.wish.cid == cid), None)

    def get(self, track_sid: str) -> Track | None:
        entry = self._tracks.get(track_sid)
        return None if entry is None else entry[0]

    def set_muted(self, track_sid: str, muted: bool) -> None:
        track, since = self._tracks[track_sid]
        self._tracks[track_sid] = (replace(track, muted=muted), since)

    def take(self, track_sid: str) -> Track | None:
        """Remove and return it: its media came."""
        entry = self._tracks.pop(track_sid, None)
        return None if entry is None else entry[0]

    def expire(self, now: float) -> None:
        oldest = now - self._limits.pending_seconds
        self._tracks = {sid: entry for sid, entry in self._tracks.items() if entry[1] > oldest}
