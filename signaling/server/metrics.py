"""What the server counts, for Prometheus. No people or rooms in any label."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signaling.ports import MediaCounters, WorkerLoad

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SAMPLE_EVERY: Final = 0.5  # seconds between two looks at the event loop
SAMPLE_BUSY: Final = 0.05  # the same while people join: then it matters, and is no cost of idleness
BUSY_FOR: Final = 5.0  # seconds after an attempt to join

_DELAYS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_MAX_OUTCOMES: Final = 64  # label values kept apart; later ones count as "other"


@dataclass(frozen=True, slots=True)
class CallCounts:
    """What the control plane knows about its calls, at one moment."""

    rooms: int = 0
    participants: int = 0
    resources: Mapping[str, int] = field(default_factory=dict)  # WHIP and WHEP sessions, by door
    unserved: Mapping[str, int] = field(default_factory=dict)  # signalling messages, by kind


class Metrics:
    """The server's metrics, in a registry of their own."""

    def __init__(self, media: Callable[[], MediaCounters], calls: Callable[[], CallCounts]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Planes(media, calls))
        self._joins = Counter(
            "conclave_joins",
            "Attempts to join, by outcome: admitted, or the code of the refusal.",
            ["outcome"],
            registry=self._registry,
        )
        self._outcomes: Tally[str] = Tally()
        self._attempted = False  # since the last look
        self._delay = Histogram(
            "conclave_event_loop_delay_seconds",
            "How late the event loop woke a sleeper.",
            buckets=_DELAYS,
            registry=self._registry,
        )

    def join(self, outcome: str) -> None:
        """Count one attempt to join."""
        if outcome not in self._outcomes and len(self._outcomes) >= _MAX_OUTCOMES:
            outcome = "other"
        self._outcomes[outcome] += 1
        self._attempted = True
        self._joins.labels(outcome).inc()

    async def watch_loop(self, monotonic: Callable[[], float]) -> None:
        """Sample the event loop's delay until cancelled."""
        busy_until = monotonic()
        while True:
            before = monotonic()
            if self._attempted:
                busy_until, self._attempted = before + BUSY_FOR, False
            pause = SAMPLE_BUSY if before < busy_until else SAMPLE_EVERY
            await asyncio.sleep(pause)
            self._delay.observe(max(0.0, monotonic() - before - pause))

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class _Planes(Collector):
    """Reads both planes when asked, so that nothing is counted twice."""

    def __init__(self, media: Callable[[], MediaCounters], calls: Callable[[], CallCounts]) -> None:
        self._media = media
        self._calls = calls

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        media, calls = self._media(), self._calls()
        for name, help_text, value in (
            ("conclave_rooms", "Rooms that are open.", calls.rooms),
            ("conclave_participants", "Participants in rooms.", calls.participants),
            ("conclave_peers", "Open media transports.", media.peers),
            ("conclave_tracks", "Published tracks.", media.tracks),
            ("conclave_downtracks", "Tracks forwarded, one per subscriber.", media.downtracks),
            (
                "conclave_handshakes_in_flight",
                "DTLS handshakes under way.",
                media.handshakes_in_flight,
            ),
        ):
            yield GaugeMetricFamily(name, help_text, value=value)
        resources = GaugeMetricFamily(
            "conclave_resources", "WHIP and WHEP sessions held, by door.", labels=["door"]
        )
        for door in ("whip", "whep"):
            resources.add_metric([door], calls.resources.get(door, 0))
        yield resources
        yield from _workers(media.workers)
        yield _counter("relay", "The relay's counters, drops by reason.", "name", media.counters)
        yield _counter("handshakes", "DTLS handshakes, by outcome.", "outcome", media.handshakes)
        yield _counter(
            "signalling_unserved", "Signalling messages not served.", "kind", calls.unserved
        )
        negotiated = CounterMetricFamily(
            "conclave_negotiated",
            "Media transports connected, by cipher suite and SRTP profile.",
            labels=["suite", "profile"],
        )
        for (suite, profile), count in sorted(media.negotiated.items()):
            negotiated.add_metric([suite, profile], count)
        yield negotiated


def _workers(workers: tuple[WorkerLoad, ...]) -> Iterator[Metric]:
    load = GaugeMetricFamily(
        "conclave_worker_load", "Share of a core that a media worker takes.", labels=["worker"]
    )
    peers = GaugeMetricFamily(
        "conclave_worker_peers", "Media transports that a worker carries.", labels=["worker"]
    )
    for worker in workers:
        load.add_metric([str(worker.number)], worker.busy)
        peers.add_metric([str(worker.number)], worker.peers)
    yield load
    yield peers


def _counter(name: str, help_text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"conclave_{name}", help_text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family
