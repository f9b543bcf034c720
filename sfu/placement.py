"""Which worker carries whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from sfu.post import Post

CLEARLY_FREER = 0.2
"""A room goes over to a worker that has so much less of its core taken, as a share of one: a pipe
costs both ends something, and loads swing by themselves.
"""


class Placement:
    """Peers that share tracks, kept together as far as one worker can carry them; the media plane
    says where they are.
    """

    def __init__(self) -> None:
        self._peers: dict[Post, int] = {}  # how many on each post, in the order of coming there

    def __bool__(self) -> bool:
        """Whether there is anybody."""
        return bool(self._peers)

    @property
    def posts(self) -> Sequence[Post]:
        """Where they are."""
        return tuple(self._peers)

    def enter(self, post: Post) -> None:
        """One more is there."""
        self._peers[post] = self._peers.get(post, 0) + 1
        post.peers += 1

    def leave(self, post: Post) -> None:
        """One of those there has gone."""
        self._peers[post] -= 1
        post.peers -= 1
        if not self._peers[post]:
            del self._peers[post]


Seat: TypeAlias = Callable[[Placement, Sequence[Post], float], Post | None]
"""The post for a newcomer to a placement, None where no worker runs. The share of a core above
which a worker is to be spared comes last.
"""


def by_load(placement: Placement, posts: Sequence[Post], spill_at: float) -> Post | None:
    """Where the others are, as long as that can carry more; else where there is clearly more room.
    Who is somewhere stays there.
    """
    here = [post for post in placement.posts if post.works]
    for post in here:
        if post.busy < spill_at:
            return post
    freest, ours = least_loaded(posts), least_loaded(here)
    if freest is None or ours is None or freest.busy <= ours.busy - CLEARLY_FREER:
        return freest
    return ours


def least_loaded(posts: Iterable[Post]) -> Post | None:
    """The share of a core decides, in tenths, since it swings by itself; then what would take more
    of it once everybody speaks; then the number.
    """
    working = (post for post in posts if post.works)
    return min(
        working,
        key=lambda post: (round(post.busy, 1), post.downtracks + post.peers, post.number),
        default=None,
    )
