"""The floors are judged at equal rates, and what was not measured is not taken for a success."""

from __future__ import annotations

from dataclasses import replace

from bench.summary import Load, Spread
from bench.verdict import verdicts


def _load(server: str, per_cpu: float, scenario: str = "video-even", rate: float = 50_000) -> Load:
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


def test_a_floor_is_met_with_the_ratio_that_was_measured() -> None:
    loads = [_load("conclave", 300_000), _load("janus", 150_000), _load("bare", 500_000)]
    janus, bare = verdicts(loads)
    assert (janus.ratio, janus.met) == (2.0, True)
    assert str(janus) == "video-even: 2.00 times janus, floor 1.8: met"
    assert (bare.ratio, bare.met) == (0.6, False)
    assert str(bare) == "video-even: 60 % of bare, floor 70 %: not met"


def test_without_the_other_server_nothing_is_met() -> None:
    (janus, bare) = verdicts([_load("conclave", 300_000)])
    assert (janus.met, bare.met) == (None, None)
    assert "not measured" in str(janus)


def test_servers_at_different_rates_are_not_compared() -> None:
    janus, _ = verdicts([_load("conclave", 300_000), _load("janus", 150_000, rate=45_000)])
    assert janus.met is None
    assert "rates differ" in str(janus)


def test_a_server_through_which_nothing_came_is_not_infinitely_slower() -> None:
    janus, _ = verdicts([_load("conclave", 300_000), _load("janus", 0, rate=0)])
    assert janus.met is None


def test_a_server_that_loses_packets_is_not_compared() -> None:
    losing = replace(_load("janus", 100_000), loss=0.07)
    janus, _ = verdicts([_load("conclave", 300_000), losing])
    assert (janus.met, janus.why) == (None, "packets were lost")


def test_a_verdict_on_a_doubtful_cell_says_so() -> None:
    doubtful = replace(_load("janus", 100_000), doubts=("generator busy",))
    janus, _ = verdicts([_load("conclave", 300_000), doubtful])
    assert str(janus).endswith("met, with doubts (see above)")


def test_cells_without_a_floor_are_not_judged() -> None:
    loads = [_load("conclave", 1, "screen"), _load("janus", 150_000, "screen")]
    assert verdicts(loads) == []
