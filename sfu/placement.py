"""Which worker carries whom."""

from __future__ import annotations

from collections.abc import Iterable

from sfu.post import Post


class Placement:
    """Peers that share tracks, kept together on one worker; from `MediaPlane.place`."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.peers = 0  # open ones, counted by the media plane


def least_loaded(posts: Iterable[Post]) -> Post | None:
    """The post for newcomers, None where no worker runs.

    The share of a core decides, in tenths, since it swings by itself; then what would take more of
    it once everybody speaks; then the number.
    """
    working = (post for post in posts if post.works)
    return min(
        working,
        key=lambda post: (round(post.busy, 1), post.downtracks + post.peers, post.number),
        default=None,
    )
