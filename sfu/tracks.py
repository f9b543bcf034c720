"""Which tracks are published, and who wants them, by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sfu.negotiation import FormatSpec, Kind


@dataclass(frozen=True, slots=True)
class PublishedTrack:
    """A track whose media section is negotiated."""

    track_id: str
    number: int  # the relay's
    kind: Kind
    formats: tuple[FormatSpec, ...]
    redundant: bool = True  # its sound may be carried with redundancy
    clock_rate: int = 0  # Hz
    layers: int = 1  # encodings
    worker: int = 0  # the number of the publisher's
    publisher: int = 0  # the relay's number of its transport


@dataclass(frozen=True, slots=True)
class Choice:
    """What the client wants of a track: up to which layer, 0 the lowest, None for the best; and how
    many pictures a second are enough, None for all. Where the link has not enough room, a higher
    `priority` (0 to 255) is served first.
    """

    layer: int | None = None
    paused: bool = False
    frame_rate: int | None = None
    priority: int = 1


class Subscriber(Protocol):
    """Whoever wants tracks."""

    def track_published(self, track: PublishedTrack, stream_id: str) -> None:
        """A wanted track can be carried now."""
        ...

    def track_ended(self, track_id: str) -> None:
        """A carried track is gone; the relay has ended its downtracks."""
        ...


class TrackRegistry:
    """Matches wishes with tracks, whichever comes first."""

    def __init__(self) -> None:
        self._published: dict[str, PublishedTrack] = {}
        self._ids: dict[int, str] = {}
        self._wishes: dict[str, dict[Subscriber, str]] = {}  # stream id by subscriber, by track id

    def __len__(self) -> int:
        return len(self._published)

    def get(self, track_id: str) -> PublishedTrack | None:
        return self._published.get(track_id)

    def track_id(self, number: int) -> str | None:
        """The name of the relay's number, None once ended."""
        return self._ids.get(number)

    def publish(self, track: PublishedTrack) -> None:
        """Make a track known and tell who waits for it. Raises `ValueError` for a taken name."""
        if track.track_id in self._published:
            raise ValueError("a track of this name is published already")
        self._published[track.track_id] = track
        self._ids[track.number] = track.track_id
        for subscriber, stream_id in list(self._wishes.get(track.track_id, {}).items()):
            subscriber.track_published(track, stream_id)

    def end(self, track_id: str, *, returns: bool = False) -> PublishedTrack | None:
        """Forget a track and tell who has it. Wishes stay only when it `returns` at once."""
        track = self._published.pop(track_id, None)
        wishes = self._wishes.get(track_id, {}) if returns else self._wishes.pop(track_id, {})
        if track is not None:
            del self._ids[track.number]
            for subscriber in list(wishes):
                subscriber.track_ended(track_id)
        return track

    def want(self, track_id: str, subscriber: Subscriber, stream_id: str) -> PublishedTrack | None:
        """Remember a wish; the track if it is there already."""
        self._wishes.setdefault(track_id, {})[subscriber] = stream_id
        return self._published.get(track_id)

    def unwant(self, track_id: str, subscriber: Subscriber) -> None:
        """Forget a wish."""
        wishes = self._wishes.get(track_id)
        if wishes is not None:
            wishes.pop(subscriber, None)
            if not wishes:
                del self._wishes[track_id]
