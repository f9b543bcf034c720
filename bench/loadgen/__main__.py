"""`python -m bench.loadgen`: load on running servers.

Reads one JSON object from standard input: `servers` by name (`bench.loadgen.servers`), `scenarios`
by name, which share their people, or none for people who join; `plan`, and `clients`. Writes one
with what was seen to standard output; errors go to standard error.
"""

from __future__ import annotations

import gc
import json
import sys
from typing import Any

import uvloop

from bench.loadgen.calls import Clients, compare, join
from bench.loadgen.dtls import HandshakeError
from bench.loadgen.servers import parse
from bench.loadgen.venue import VenueError
from bench.scenarios import Joins, Plan, scenarios


def main() -> int:
    """Run; the process's exit status."""
    asked = json.load(sys.stdin)
    gc.disable()  # a short life, few cycles; a collection would look like delay
    try:
        seen = uvloop.run(_perform(asked))
    except (VenueError, HandshakeError, OSError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    json.dump(seen, sys.stdout)
    return 0


async def _perform(asked: dict[str, Any]) -> dict[str, Any]:
    servers = {name: parse(each) for name, each in asked["servers"].items()}
    plan = Plan(**{**asked["plan"], "joins": Joins(**asked["plan"]["joins"])})
    clients = Clients(**asked["clients"])
    if not asked["scenarios"]:
        (server,) = servers.values()
        return await join(server, plan, clients)
    return await compare(servers, plan, scenarios(asked["scenarios"]), clients)


if __name__ == "__main__":
    sys.exit(main())
