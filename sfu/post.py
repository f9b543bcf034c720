"""One worker's place: a port, and the relay that serves it at present."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sfu.commands import Command
from sfu.events import Done, RelayEvent, WorkerDied
from sfu.options import MediaOptions
from sfu.worker import Relay, RelayRefused

_NS = 1e9


@dataclass(frozen=True, slots=True)
class Reports:
    """Who is told what a post hears; called from the loop, never from within a call into it."""

    event: Callable[[RelayEvent], None]
    refused: Callable[[int, str], None]  # (whose command, code)
    died: Callable[[Post], None]  # its relay is gone: end its peers; another is opened then


class Post:
    """The `number`-th worker. Its port is the options' port plus that number (DESIGN 2.4).

    A relay that dies is followed by another on the same port. What the dead ones counted stays
    counted. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        number: int,
        options: MediaOptions,
        open_relay: Callable[[MediaOptions], Relay],
        clock: Callable[[], float],
        reports: Reports,
    ) -> None:
        self.number = number
        self.peers = 0  # of the media plane, by whoever opens and closes them
        self.busy = 0.0  # share of a core that the worker takes, over the last few seconds
        self.downtracks = 0  # when last measured
        self.deaths = 0
        self.addresses: Sequence[tuple[str, int]] = ()  # where it listens, or listened last
        self._options = replace(options, port=options.port and options.port + number)
        self._open_relay = open_relay
        self._clock = clock
        self._reports = reports
        self._relay: Relay | None = None
        self._tickets: dict[int, int] = {}  # peer by ticket
        self._before: Counter[str] = Counter()  # what relays counted that are gone
        self._measured: tuple[float, int] | None = None  # when, and CPU ns then

    @property
    def works(self) -> bool:
        return self._relay is not None

    def open(self) -> None:
        """Open the sockets; idempotent. Raises `OSError` when one cannot be opened."""
        if self._relay is not None:
            return
        self._relay = relay = self._open_relay(self._options)
        self.addresses = relay.addresses
        asyncio.get_running_loop().add_reader(relay.event_fd, self._drain, relay)
        self._measured = None

    def revive(self) -> None:
        """Open again what could not be opened before, if it can be opened now."""
        try:
            self.open()
        except OSError:
            self._relay = None

    def close(self) -> None:
        """Stop the relay; idempotent."""
        relay, self._relay = self._relay, None
        if relay is not None:
            asyncio.get_running_loop().remove_reader(relay.event_fd)
            self._before.update(_lasting(relay.counters()))
            relay.close()
        self._tickets.clear()
        self.busy, self.downtracks = 0.0, 0

    def send(self, peer: int, commands: tuple[Command, ...]) -> None:
        """Queue commands for a peer. What the relay refuses is reported, later."""
        if self._relay is None:
            return
        try:
            self._tickets[self._relay.apply(commands)] = peer
        except RelayRefused as refusal:
            self._refuse(peer, refusal.code)

    def counters(self) -> Mapping[str, int]:
        """All since the start; gauges, which end in `_now`, of now."""
        counted = Counter(self._before)
        if self._relay is not None:
            counted.update(self._relay.counters())
        return counted

    def measure(self) -> None:
        """See how busy the worker is; to be called about once a second."""
        if self._relay is None:
            return
        counters, now = self._relay.counters(), self._clock()
        cpu = counters.get("worker_cpu_ns", 0)
        self.downtracks = counters.get("downtracks_now", 0)
        if self._measured is None:
            self._measured = now, cpu
            return
        then, before = self._measured
        if now > then:
            # Half of what was: one busy second does not move rooms elsewhere, three do.
            self.busy = (self.busy + (cpu - before) / _NS / (now - then)) / 2
            self._measured = now, cpu

    def _drain(self, relay: Relay) -> None:
        """The relay's file descriptor woke."""
        for event in relay.poll_events():
            if self._relay is not relay:
                return  # it died among these events
            match event:
                case Done(ticket, error):
                    peer = self._tickets.pop(ticket, 0)
                    if error is not None:
                        self._refuse(peer, f"relay_{error}")
                case WorkerDied():
                    self.deaths += 1
                    self.close()
                    self._reports.died(self)
                    self.revive()
                case _:
                    self._reports.event(event)

    def _refuse(self, peer: int, code: str) -> None:
        """Later: the caller is in the middle of something."""
        asyncio.get_running_loop().call_soon(self._reports.refused, peer, code)


def _lasting(counters: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in counters.items() if not name.endswith("_now")}
