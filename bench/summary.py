"""From what was seen to what is said: medians, spreads, percentiles, and doubts."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.scenarios import parse

BUSY_GENERATOR: Final = 0.85
"""Share of its core above which the generator may be what is slow."""

SHARED_CORE: Final = 0.1
"""Share of the server's core in others' hands above which delay is theirs too."""
STOLEN_CORE: Final = 0.03
"""The same of what the host of a virtual machine takes; it costs cache, too."""
OFF_RATE: Final = 0.01
"""Departure from the rate that was asked, above which two servers are not compared at one rate."""
HIDDEN_WORK: Final = 0.02
"""Network work done beside the process, against what it did itself, that is worth a word."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several windows, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError when there are none."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of all do not exceed (nearest rank); None of none.

    Nearest rank never invents a value between two that were seen.
    """
    if not values:
        return None
    if not 0 < share <= 1:
        raise ValueError("a share lies between 0 and 1")
    ordered = sorted(values)
    rank = -(-len(ordered) * round(share * 1000) // 1000)  # ceil, without 0.1 + 0.2
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True, slots=True)
class Load:
    """One cell's result."""

    scenario: str
    server: str
    profile: str  # of SRTP: gcm or cm
    feedback: bool  # whether receivers told of arrivals and asked for lost packets
    wanted: float  # packets out per second, as asked
    out_rate: Spread  # distinct packets per second that reached subscribers
    per_cpu_second: Spread  # of them, per CPU-second of the whole server process
    server_cpu: Spread  # share of one core, by the process's own clock
    core_busy: Spread  # share of the server's core in use by anything, the kernel's threads too
    expected: int  # packets that should have arrived, warm-up included
    lost: int  # of these, packets that did not; what the generator itself dropped is no part of it
    loss: float  # share of them that did not, for whatever reason
    expansion: float  # bytes of RTP that came, per byte of payload that should have
    resent: int  # packets in streams of resends, padding among them
    delay_p50: float | None  # microseconds
    delay_p99: float | None  # microseconds
    delay_samples: int
    checked: int  # packets decrypted and found whole
    damaged: int
    duplicates: int
    generator_cpu: Spread  # share of one core
    server_says: int | None  # packets out by the server's own counter, warm-up included
    received: int  # the same, as received
    relay: dict[str, int]  # the server's own counters that changed, all windows with warm-up
    doubts: tuple[str, ...]

    @property
    def per_wake(self) -> float | None:
        """Packets that the server found each time it woke, by its own counters."""
        wakes = self.relay.get("worker_wakeups", 0)
        return self.relay.get("rtp_in", 0) / wakes if wakes else None


def load(seen: dict[str, Any], profile: str, feedback: bool) -> Load:
    """Judge one cell's windows."""
    scenario = parse(seen["scenario"])
    windows = seen["windows"]
    whole = [window["whole"] for window in windows]
    expected = sum(one["expected"] for one in whole)
    received = sum(one["out"] for one in whole)
    delays = [delay / 1000 for window in windows for delay in window["delays"]]
    relay: Counter[str] = Counter()
    for window in windows:
        relay.update({name: value for name, value in window["relay"].items() if value})
    return Load(
        scenario=scenario.name,
        server=seen["server"],
        profile=profile,
        feedback=feedback,
        wanted=scenario.out_rate,
        out_rate=_spread(windows, "out", "seconds"),
        per_cpu_second=_spread(windows, "out", "server_cpu"),
        server_cpu=_spread(windows, "server_cpu", "seconds"),
        core_busy=_spread(windows, "core_busy", "seconds"),
        expected=expected,
        lost=max(0, expected - received - sum(one["own_drops"] for one in whole)),
        loss=max(0.0, 1 - received / expected) if expected else 0.0,
        expansion=_expansion(whole),
        resent=sum(one["resent"] for one in whole),
        delay_p50=percentile(delays, 0.5),
        delay_p99=percentile(delays, 0.99),
        delay_samples=len(delays),
        checked=sum(one["checked"] for one in whole),
        damaged=sum(one["damaged"] for one in whole),
        duplicates=sum(one["duplicates"] for one in whole),
        generator_cpu=_spread(windows, "generator_cpu", "seconds"),
        server_says=_says(windows),
        received=received,
        relay=dict(sorted(relay.items())),
        doubts=_doubts(seen),
    )


def _says(windows: Sequence[dict[str, Any]]) -> int | None:
    """Packets that the server counts as forwarded; None when it does not tell."""
    relays = [window["relay"] for window in windows]
    if not all(relays):
        return None
    return sum(int(relay["rtp_out"]) for relay in relays)


def _expansion(whole: Sequence[dict[str, Any]]) -> float:
    payload = sum(one["out"] * one["payload_bytes"] for one in whole)
    return sum(one["bytes"] for one in whole) / payload if payload else 0.0


def _spread(windows: Sequence[dict[str, Any]], above: str, below: str) -> Spread:
    return Spread.of([window[above] / window[below] for window in windows])


def _doubts(seen: dict[str, Any]) -> tuple[str, ...]:
    """Why this cell's numbers may not be the server's."""
    doubts = []
    windows = seen["windows"]
    if max(window["generator_cpu"] / window["seconds"] for window in windows) > BUSY_GENERATOR:
        doubts.append("generator busy")
    own = sum(window["server_cpu"] for window in windows)
    hidden = sum(window["softirq_cpu"] for window in windows)
    if hidden > HIDDEN_WORK * own:
        doubts.append(f"the kernel's threads did {100 * hidden / own:.0f} % beside the server")
    seconds = sum(window["seconds"] for window in windows)
    stolen = sum(window["core_stolen"] for window in windows)
    if stolen > STOLEN_CORE * seconds:
        doubts.append(f"the host took {100 * stolen / seconds:.0f} % of the server's core")
    others = sum(window["core_busy"] for window in windows) - own - hidden - stolen
    if others > SHARED_CORE * seconds:
        doubts.append("others used the server's core")
    if drops := sum(window["whole"]["own_drops"] for window in windows):
        doubts.append(f"generator dropped {drops}")
    if skipped := sum(window["skipped"] for window in windows):
        doubts.append(f"generator skipped {skipped}")
    if damaged := sum(window["whole"]["damaged"] for window in windows):
        doubts.append(f"{damaged} damaged")
    if not sum(window["whole"]["checked"] for window in windows):
        doubts.append("none checked")
    rate = sum(window["out"] for window in windows) / seconds
    wanted = parse(seen["scenario"]).out_rate
    if abs(rate / wanted - 1) > OFF_RATE:
        doubts.append(f"{100 * rate / wanted:.1f} % of the rate that was asked")
    return tuple(doubts)


@dataclass(frozen=True, slots=True)
class JoinTimes:
    """The join scenario's result; times in milliseconds."""

    joins: int
    failed: int
    pace: float  # joins per second
    keys_p50: float | None
    keys_p99: float | None
    media_p50: float | None
    media_p99: float | None
    per_cpu_second: float
    control_ms: float  # CPU time of a join without the relay's threads: no packet is in it
    load: float | None  # share of a core that the server took before the joins; None: about none
    loop_p50: float | None  # the event loop's delay by the server's own account: at most so much
    loop_p99: float | None
    relay: dict[str, int]  # the server's own counters that are not 0
    doubts: tuple[str, ...]


def join_times(seen: dict[str, Any]) -> JoinTimes:
    """Judge the joins."""
    others = (seen["core_busy"] - seen["server_cpu"]) / seen["seconds"]
    keys = [1000 * value for value in seen["keys"]]
    media = [1000 * value for value in seen["media"]]
    loop = [None if value is None else 1000 * value for value in seen["loop"]]
    relay_cpu = seen["relay_cpu"]
    return JoinTimes(
        joins=len(media),
        failed=seen["failed"],
        pace=seen["pace"],
        keys_p50=percentile(keys, 0.5),
        keys_p99=percentile(keys, 0.99),
        media_p50=percentile(media, 0.5),
        media_p99=percentile(media, 0.99),
        per_cpu_second=len(media) / seen["server_cpu"],
        control_ms=1000 * (seen["server_cpu"] - relay_cpu) / max(1, len(media)),
        load=seen["load"],
        loop_p50=loop[0],
        loop_p99=loop[1],
        relay={name: value for name, value in sorted(seen["relay"].items()) if value},
        doubts=("others used the server's core",) if others > SHARED_CORE else (),
    )


def memory_per_peer(seen: dict[str, Any]) -> float:
    """Resident bytes that one more peer took."""
    return float((seen["after"] - seen["before"]) / seen["peers"])
