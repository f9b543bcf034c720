"""The tracks that a peer's worker can forward: its own, and others' that are brought to it."""

from __future__ import annotations

from sfu.pipes import Pipes
from sfu.post import Post
from sfu.tracks import Choice, PublishedTrack


class Reach:
    """What peers of one worker ask of the pipes."""

    def __init__(self, pipes: Pipes, post: Post) -> None:
        self._pipes = pipes
        self._post = post

    @property
    def worker(self) -> int:
        """Its number."""
        return self._post.number

    def track(self, track: PublishedTrack, subscriber: int, choice: Choice) -> int:
        """The number under which the worker has a track, until the subscriber leaves it."""
        return self._pipes.reach(track, self._post, subscriber, choice)

    def choose(self, track_id: str, subscriber: int, choice: Choice) -> None:
        """A subscriber wants more or less of what it reached."""
        self._pipes.choose(track_id, self._post, subscriber, choice)

    def leave(self, track_id: str, subscriber: int) -> None:
        """A subscriber has no use for it any more; idempotent."""
        self._pipes.leave(track_id, self._post, subscriber)

    def mute(self, track_id: str, muted: bool) -> None:
        """A track of the worker's own is muted wherever it was brought to."""
        self._pipes.mute(track_id, muted)
