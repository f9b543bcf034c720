"""Cells as they might have been measured."""

from __future__ import annotations

from bench.summary import Load, Spread


def cell(server: str, per_cpu: float, scenario: str = "video-even", rate: float = 50_000) -> Load:
    """One without loss or doubts."""
    one = Spread(1, 1, 1)
    return Load(
        scenario=scenario,
        server=server,
        profile="gcm",
        feedback=False,
        wanted=50_000,
        out_rate=Spread(rate, rate, rate),
        per_cpu_second=Spread(per_cpu, per_cpu, per_cpu),
        server_cpu=one,
        core_busy=one,
        expected=1,
        lost=0,
        loss=0,
        expansion=1.02,
        resent=0,
        delay_p50=1,
        delay_p99=1,
        delay_samples=1,
        checked=1,
        damaged=0,
        duplicates=0,
        generator_cpu=one,
        server_says=None,
        received=1,
        relay={},
        doubts=(),
    )
