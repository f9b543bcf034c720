"""`conclave` whose media workers take turns: each newcomer of a room goes to the next, however
little there is to do. The first worker is mortal, as in `mortal_node`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sfu.placement import Placement
from sfu.post import Post
from tests.interop.mortal_node import serve

_turns: dict[Placement, int] = {}


def in_turns(placement: Placement, posts: Sequence[Post], _spill_at: float) -> Post | None:
    """A `sfu.placement.Seat`."""
    turn = _turns[placement] = _turns.get(placement, -1) + 1
    return posts[turn % len(posts)]


if __name__ == "__main__":
    serve(seat=in_turns)
