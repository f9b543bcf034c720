"""`python -m bench.link relay|tun …`: a bad link until stdin closes, or its time is over.

Lines of JSON: the first out is `{"ready": …}`; `{"begin": {"up": schedule, "down": schedule}}` in
starts schedules (a link is perfect before), `{"tell": true}` asks what it has carried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from typing import Any, Final

from bench.link.conditions import Schedule, WrongConditions
from bench.link.directions import Carrier, Directions
from bench.link.pump import Pump, preferred
from bench.link.relay import UdpRelay
from bench.link.tun import TunPair

MAX_SECONDS: Final = 900.0
MAX_COMMAND: Final = 64 * 1024  # bytes


def main() -> int:
    """Run; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.link", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    relay = kinds.add_parser("relay", help="UDP, for clients that send to the relay's port")
    relay.add_argument("--to", required=True, metavar="ADDRESS:PORT", help="where the server is")
    tun = kinds.add_parser("tun", help="IP, between two network namespaces")
    tun.add_argument("--near", required=True, metavar="NAMESPACE", help="where clients are")
    tun.add_argument("--far", required=True, metavar="NAMESPACE", help="where the server is")
    for kind in (relay, tun):
        kind.add_argument("--seed", default="1")
        kind.add_argument("--seconds", type=float, default=MAX_SECONDS, help="ends by then")
    options = parser.parse_args()

    carrier: Carrier
    if options.kind == "relay":
        address, _, port = options.to.rpartition(":")
        carrier = UdpRelay((address, int(port)))
    else:
        carrier = TunPair(options.near, options.far)
    pump, directions = Pump(), Directions(options.seed)
    facts = carrier.start(pump, directions)
    commands = _Commands(pump, directions)
    pump.read(sys.stdin.fileno(), commands.read)
    _say({"ready": facts | {"preferred": preferred()}})
    try:
        pump.run(min(options.seconds, MAX_SECONDS))
    finally:
        carrier.close()
    return 0


class _Commands:
    def __init__(self, pump: Pump, directions: Directions) -> None:
        self._pump, self._directions = pump, directions
        self._rest = b""

    def read(self, _now: int) -> None:
        more = os.read(sys.stdin.fileno(), MAX_COMMAND)
        *lines, self._rest = (self._rest + more).split(b"\n")
        for line in lines:
            _say(self._obey(json.loads(line)))
        if not more or len(self._rest) > MAX_COMMAND:
            self._pump.end()

    def _obey(self, command: dict[str, Any]) -> dict[str, Any]:
        if (begin := command.get("begin")) is not None:
            try:
                up, down = (Schedule.read(begin[each]) for each in ("up", "down"))
            except WrongConditions as error:
                return {"error": str(error)}
            return {"began": self._directions.begin(up, down)}
        return {
            "at": time.monotonic_ns(),
            "cpu": time.process_time(),
            "lateness": asdict(self._pump.lateness),
            **self._directions.told(),
        }


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
