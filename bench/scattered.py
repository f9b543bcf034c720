"""`conclave` whose workers take turns: half of each room is beyond a pipe, however little there is
to do.
"""

from __future__ import annotations

import functools

from sfu.media import MediaPlane
from signaling import media
from signaling.__main__ import main
from tests.interop.scattered_node import in_turns

if __name__ == "__main__":
    vars(media)["MediaPlane"] = functools.partial(MediaPlane, seat=in_turns)
    main()
