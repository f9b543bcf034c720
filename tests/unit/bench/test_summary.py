"""What was seen becomes medians, percentiles and doubts."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from bench.scenarios import SCENARIOS, FanOut
from bench.summary import Load, Spread, join_times, load, memory_per_peer, percentile


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1) == 100
    assert percentile([3.0], 0.99) == 3
    assert percentile([1.0, 2.0], 0.5) == 1


def test_percentiles_of_nothing_are_nothing() -> None:
    assert percentile([], 0.5) is None


def test_a_share_beyond_all_is_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], 1.5)


def test_a_spread_keeps_the_extremes() -> None:
    assert Spread.of([3, 1, 10]) == Spread(median=3, low=1, high=10)
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


SLOW = replace(SCENARIOS[0], gathering=FanOut(10), rate=25.0)


def _window(**changes: Any) -> dict[str, Any]:
    whole = {"expected": 600, "out": 600, "duplicates": 0, "checked": 6, "damaged": 0}
    whole |= {"bytes": 660_000, "payload_bytes": 1000, "resent": 0}
    return {
        "seconds": 2.0,
        "out": 500,
        "server_cpu": 0.05,
        "generator_cpu": 0.5,
        "core_busy": 0.06,
        "core_stolen": 0.0,
        "softirq_cpu": 0.0,
        "delays": [100_000, 300_000],
        "skipped": 0,
        "whole": {**whole, "own_drops": 0},
        "relay": {"rtp_out": 600},
        **changes,
    }


def _seen(*windows: dict[str, Any]) -> dict[str, Any]:
    return {"scenario": asdict(SLOW), "server": "conclave", "windows": list(windows)}


def _load(*windows: dict[str, Any]) -> Load:
    return load(_seen(*windows), "gcm", feedback=False)


def test_a_load_is_judged_by_its_median_window() -> None:
    judged = _load(_window(), _window(server_cpu=0.1), _window())
    assert judged.per_cpu_second == Spread(median=10_000, low=5_000, high=10_000)
    assert judged.out_rate.median == 250
    assert judged.delay_p99 == 300
    assert judged.delay_samples == 6
    assert judged.server_says == judged.received == 1800
    assert judged.doubts == ()


def test_loss_counts_what_should_have_arrived_and_never_did() -> None:
    lossy = _window()
    lossy["whole"]["out"] = 594
    assert _load(lossy).loss == pytest.approx(0.01)


def test_what_is_sent_beside_the_payload_is_told_per_byte_of_it() -> None:
    assert _load(_window()).expansion == pytest.approx(1.1)


def test_a_server_that_does_not_tell_is_not_taken_for_one_that_sent_nothing() -> None:
    assert _load(_window(), _window(relay={})).server_says is None


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"generator_cpu": 1.9}, "generator busy"),
        ({"out": 490}, "98.0 % of the rate that was asked"),
        ({"core_busy": 0.5}, "others used the server's core"),
        (
            {"core_busy": 0.5, "core_stolen": 0.44},
            "the host took 22 % of the server's core",
        ),
        ({"softirq_cpu": 0.01}, "the kernel's threads did 20 % beside the server"),
        ({"skipped": 8}, "generator skipped 8"),
        ({"whole": {**_window()["whole"], "own_drops": 3}}, "generator dropped 3"),
        ({"whole": {**_window()["whole"], "damaged": 2}}, "2 damaged"),
        ({"whole": {**_window()["whole"], "checked": 0}}, "none checked"),
    ],
)
def test_what_may_be_the_generators_own_doing_is_said(changes: Any, doubt: str) -> None:
    assert _load(_window(**changes)).doubts == (doubt,)


def test_join_times_are_milliseconds() -> None:
    seen = {"keys": [0.01, 0.02], "media": [0.03, 0.04], "failed": 1, "pace": 10}
    seen |= {"server_cpu": 0.1, "core_busy": 0.15, "seconds": 1.0, "relay": {"stun_in": 3, "x": 0}}
    seen |= {"relay_cpu": 0.02, "load": None, "loop": [0.001, None]}
    judged = join_times(seen)
    assert (judged.keys_p50, judged.media_p99) == (10, 40)
    assert (judged.joins, judged.failed, judged.per_cpu_second) == (2, 1, 20)
    assert (judged.control_ms, judged.loop_p50, judged.loop_p99) == (40, 1, None)
    assert judged.doubts == ()
    assert join_times({**seen, "core_busy": 0.9}).doubts


def test_memory_is_counted_by_head() -> None:
    assert memory_per_peer({"before": 1000, "after": 3000, "peers": 10}) == 200
