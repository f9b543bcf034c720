"""Numbered datagrams on an exact grid, and what became of them: how a link is measured.

`python -m bench.link.traffic send|receive …` does it in another network namespace.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.link.conditions import SECOND
from bench.link.relay import deep_buffers

_HEAD: Final = struct.Struct("!IQ")  # number, when it was sent (nanoseconds of the wall clock)
_TIMESTAMPNS: Final = 35  # SO_TIMESTAMPNS, include/uapi/asm-generic/socket.h
_TIMESPEC: Final = struct.Struct("@qq")
FIRST_PATIENCE: Final = 20.0  # seconds until the first datagram
MAX_DATAGRAMS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One datagram at its receiver. The kernel notes the time, so a busy machine is not in it."""

    number: int
    sent: int
    arrived: int

    @property
    def delay(self) -> float:
        """Seconds on the way."""
        return (self.arrived - self.sent) / SECOND


@dataclass(frozen=True, slots=True)
class Seen:
    """Arrivals in their order, of `sent` datagrams of `size` bytes."""

    arrivals: Sequence[Arrival]
    sent: int
    size: int

    @property
    def lost(self) -> float:
        """The part that never came."""
        return 1 - len({each.number for each in self.arrivals}) / self.sent

    @property
    def burst(self) -> float:
        """How many neighbours are lost together, on average."""
        came = sorted({each.number for each in self.arrivals})
        gaps = [
            b - a - 1 for a, b in zip([-1, *came], [*came, self.sent], strict=True) if b > a + 1
        ]
        return statistics.fmean(gaps) if gaps else 0.0

    @property
    def delay(self) -> float:
        """Its mean, in seconds."""
        return statistics.fmean(each.delay for each in self.arrivals)

    @property
    def jitter(self) -> float:
        """The delay's standard deviation, in seconds."""
        return statistics.pstdev(each.delay for each in self.arrivals)

    @property
    def overtaken(self) -> float:
        """The part that came after a later one."""
        late, latest = 0, -1
        for each in self.arrivals:
            late += each.number < latest
            latest = max(latest, each.number)
        return late / len(self.arrivals)

    @property
    def duplicated(self) -> float:
        """Copies, as a part of what came at all."""
        return len(self.arrivals) / len({each.number for each in self.arrivals}) - 1

    def rate(self, overhead: int = 28, start: float = 0.0, end: float = 1e9) -> float:
        """bit/s of IP packets that arrived between two times, in seconds since the first one."""
        first = self.arrivals[0].arrived
        times = [(each.arrived - first) / SECOND for each in self.arrivals]
        within = [moment for moment in times if start <= moment < end]
        return (len(within) - 1) * (self.size + overhead) * 8 / (within[-1] - within[0])


def send(by: socket.socket, count: int, rate: float, size: int) -> None:
    """Send `count` datagrams of `size` bytes, `rate` a second, each on its place of the grid."""
    filler = bytes(size - _HEAD.size)
    start = time.monotonic_ns()
    for number in range(count):
        while (wait := start + number * SECOND / rate - time.monotonic_ns()) > 0:
            time.sleep(wait / SECOND)
        by.send(_HEAD.pack(number, time.time_ns()) + filler)


def receive(at: socket.socket, count: int, silence: float) -> Seen:
    """Take datagrams until nothing came for `silence` seconds."""
    at.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
    at.settimeout(FIRST_PATIENCE)
    arrivals: list[Arrival] = []
    size = 0
    while len(arrivals) < MAX_DATAGRAMS:
        try:
            packet, ancillary, _, _ = at.recvmsg(2048, 64)
        except TimeoutError:
            break
        at.settimeout(silence)
        if len(packet) < _HEAD.size:
            continue
        stamps = [_TIMESPEC.unpack(data) for _, kind, data in ancillary if kind == _TIMESTAMPNS]
        seconds, nanoseconds = stamps[0]
        size = len(packet)
        number, sent = _HEAD.unpack_from(packet)
        arrivals.append(Arrival(number, sent, seconds * SECOND + nanoseconds))
    return Seen(arrivals, count, size)


def listening(address: str, port: int = 0) -> socket.socket:
    """A socket that loses nothing while its owner looks away."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    deep_buffers(made)
    made.bind((address, port))
    return made


def main() -> int:
    """Run; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.link.traffic", description=__doc__)
    parser.add_argument("what", choices=("send", "receive"))
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=500.0, help="datagrams a second")
    parser.add_argument("--size", type=int, default=1172, help="bytes; 28 are added on the wire")
    parser.add_argument("--silence", type=float, default=1.5, help="seconds that end a reception")
    options = parser.parse_args()
    if options.what == "send":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((options.address, options.port))
            send(sender, options.count, options.rate, options.size)
        return 0
    with listening(options.address, options.port) as receiver:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        seen = receive(receiver, options.count, options.silence)
    rows = [[each.number, each.sent, each.arrived] for each in seen.arrivals]
    json.dump({"size": seen.size, "arrivals": rows}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
