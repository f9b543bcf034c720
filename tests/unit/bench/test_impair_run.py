"""A run plays everything once, goes on when something breaks, and can be taken up again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.impair import run
from bench.impair.cases import CASES, VERSUS, Case, Role, chosen
from bench.impair.plan import Act, acts, seconds
from bench.impair.play import NoPicture
from bench.impair.results import Results
from bench.impair.run import Run


class Played:
    """Stands in for a case that was played."""

    def __init__(self, survived: bool) -> None:
        self.survived = survived

    def written(self) -> dict[str, Any]:
        return {"survived": self.survived}


class Calls:
    """Stands in for calls: `troubles` break a case, `deaths` end the call after it."""

    def __init__(self, troubles: tuple[str, ...] = (), deaths: tuple[str, ...] = ()) -> None:
        self.troubles, self.deaths = troubles, deaths
        self.started = 0

    @asynccontextmanager
    async def __call__(self, role: Role, *, server: str, seed: str) -> AsyncIterator[Calls]:
        self.started += 1
        yield self

    async def play(self, case: Case) -> Played:
        if case.name in self.troubles:
            raise NoPicture("no picture on a clean network")
        return Played(case.name not in self.deaths)


def fresh() -> Results:
    return Results("0123456789", "2026-01-02", {"cores": 2, "processor": "some"}, "1")


def outcomes(results: Results) -> list[tuple[str, str]]:
    return [(case["case"], case.get("failed", "played")) for case in results.cases]


async def played(
    monkeypatch: pytest.MonkeyPatch, path: Path, calls: Calls, results: Results, budget: float
) -> list[tuple[str, str]]:
    monkeypatch.setattr(run, "call", calls)
    act = Act("cases", "conclave", "subscriber", chosen("clean,loss-2,loss-5"))
    await Run(results, path / "kept.json", budget).play([act])
    assert outcomes(Results.load(path / "kept.json")) == outcomes(results)
    return outcomes(results)


async def test_a_case_that_breaks_is_entered_and_the_others_are_played(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = Calls(troubles=("loss-2",))
    told = await played(monkeypatch, tmp_path, calls, fresh(), 3600)
    broken = ("loss-2", "NoPicture: no picture on a clean network")
    assert told == [("clean", "played"), broken, ("loss-5", "played")]


async def test_a_call_that_does_not_survive_a_case_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = Calls(deaths=("clean",))
    await played(monkeypatch, tmp_path, calls, fresh(), 3600)
    assert calls.started == 2


async def test_what_was_played_before_is_not_played_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = fresh()
    await played(monkeypatch, tmp_path, Calls(), results, 3600)
    again = Calls()
    assert len(await played(monkeypatch, tmp_path, again, results, 3600)) == 3
    assert again.started == 0


async def test_what_has_not_begun_when_the_time_is_over_is_entered_as_such(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = Calls()
    told = await played(monkeypatch, tmp_path, calls, fresh(), 10)
    assert calls.started == 0
    assert {reason for _, reason in told} == {"not measured: the time was over"}


async def test_a_share_that_breaks_is_entered_and_played_again_when_taken_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def broken(server: str, *, seed: str) -> None:
        raise TimeoutError("no voice")

    monkeypatch.setattr(run, "shared", broken)
    results = fresh()
    kept = Run(results, tmp_path / "kept.json", 3600)
    await kept.play([Act("share", "janus")])
    assert results.shares == [{"server": "janus", "failed": "TimeoutError: no voice"}]
    await kept.play([Act("share", "janus")])
    assert len(results.shares) == 2


def test_a_whole_run_has_every_case_for_both_and_fits_its_time() -> None:
    planned = acts()
    ours = {(case, act.role) for act in planned if act.server == "conclave" for case in act.cases}
    theirs = {(c.name, act.role) for act in planned if act.server == "janus" for c in act.cases}
    assert ours == {(case, role) for case in CASES for role in ("subscriber", "publisher")}
    assert theirs == VERSUS
    assert seconds(planned) < 30 * 60
