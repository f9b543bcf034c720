"""`python -m bench.loadgen`: one scenario against a running server.

Reads one JSON object about the server from standard input, writes one with what was seen to
standard output; progress and errors go to standard error.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys

import uvloop

from bench.loadgen.calls import Clients, Server, perform
from bench.loadgen.dtls import PROFILES, SUITES, HandshakeError
from bench.loadgen.signalling import SignallingError
from bench.scenarios import FULL, QUICK, scenario


def main() -> int:
    """Run; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.loadgen")
    parser.add_argument("scenario")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="gcm")
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0])
    parser.add_argument("--feedback", action="store_true")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    server = Server(**json.load(sys.stdin))
    gc.disable()  # a short life, few cycles; a collection would look like delay
    try:
        clients = Clients(options.profile, options.suite, tells=options.feedback)
        seen = uvloop.run(perform(server, plan, scenario(plan, options.scenario), clients))
    except (SignallingError, HandshakeError, OSError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    json.dump(seen, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
