"""A slice of `make churn`: the whole of it, for seconds."""

from __future__ import annotations

from tests.bench.modules import done


def test_of_people_who_have_left_nothing_stays() -> None:
    told = done("bench.churn", "--joins", "60", "--at-once", "6")
    last = told.strip().splitlines()[-1]
    assert last.startswith("    60 joins")
    assert last.endswith("left: nothing")
