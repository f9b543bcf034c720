"""The floors are judged at equal rates, and what was not measured is not taken for a success."""

from __future__ import annotations

from dataclasses import replace

from bench.verdict import verdicts
from tests.unit.bench.loads import cell


def test_a_floor_is_met_with_the_ratio_that_was_measured() -> None:
    loads = [cell("conclave", 300_000), cell("janus", 150_000), cell("bare", 500_000)]
    janus, bare = verdicts(loads)
    assert (janus.ratio, janus.met) == (2.0, True)
    assert str(janus) == "video-even: 2.00 times janus, floor 1.8: met"
    assert (bare.ratio, bare.met) == (0.6, False)
    assert str(bare) == "video-even: 60 % of bare, floor 70 %: not met"


def test_without_the_other_server_nothing_is_met() -> None:
    (janus, bare) = verdicts([cell("conclave", 300_000)])
    assert (janus.met, bare.met) == (None, None)
    assert "not compared (no figure of it)" in str(janus)


def test_servers_at_different_rates_are_not_compared() -> None:
    janus, _ = verdicts([cell("conclave", 300_000), cell("janus", 150_000, rate=45_000)])
    assert janus.met is None
    assert "rates differ" in str(janus)


def test_beside_livekit_the_ratio_is_told_and_nothing_asked() -> None:
    *_, livekit = verdicts([cell("conclave", 300_000), cell("livekit", 100_000)])
    assert (livekit.ratio, livekit.met) == (3.0, None)
    assert str(livekit) == "video-even: 3.00 times livekit"


def test_livekit_below_the_rate_that_was_asked_is_told_and_not_compared() -> None:
    slow = cell("livekit", 100_000, rate=41_000)
    *_, livekit = verdicts([cell("conclave", 300_000), slow])
    assert livekit.ratio is None
    assert "the output rates differ: 50,000/s and 41,000/s" in str(livekit)


def test_a_server_through_which_nothing_came_is_not_infinitely_slower() -> None:
    janus, _ = verdicts([cell("conclave", 300_000), cell("janus", 0, rate=0)])
    assert janus.met is None


def test_a_server_that_loses_packets_is_not_compared() -> None:
    losing = replace(cell("janus", 100_000), loss=0.07)
    janus, _ = verdicts([cell("conclave", 300_000), losing])
    assert (janus.met, janus.why) == (None, "packets were lost")


def test_a_verdict_on_a_doubtful_cell_says_so() -> None:
    doubtful = replace(cell("janus", 100_000), doubts=("generator busy",))
    janus, _ = verdicts([cell("conclave", 300_000), doubtful])
    assert str(janus).endswith("met, with doubts (see above)")


def test_cells_without_a_floor_are_not_judged() -> None:
    loads = [cell("conclave", 1, "screen"), cell("janus", 150_000, "screen")]
    assert verdicts(loads) == []
