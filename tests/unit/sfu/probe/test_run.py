"""Rows that fail, hang, raise or wait, on a target that is not there at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast
from xml.etree import ElementTree

from sfu.probe.lab import Lab
from sfu.probe.policy import STANDARD
from sfu.probe.report import as_json, as_junit, summary
from sfu.probe.row import Blocked, Observation, Postponed, Row, Untested, must
from sfu.probe.run import Bounds, Report, probe
from sfu.probe.targets import Seat, Target
from tests.patience import PATIENCE


class Nowhere:
    """A target of which only name and seats are looked at."""

    name = "nowhere"

    def __init__(self, *seats: Seat) -> None:
        self.seats = seats


HERE = tuple(Seat("t", room, number) for number, room in enumerate("aaabbc"))


def _row(name: str, run: Callable[[Lab], Awaitable[Observation]], **more: Any) -> Row:
    return Row(name, f"tried {name}", "a clause", must("good"), run, **more)


async def _good(_lab: Lab) -> Observation:
    return Observation("good")


async def _bad(_lab: Lab) -> Observation:
    return Observation("bad", "very")


HONEST = _row("honest-client", _good)


async def _probe(
    *rows: Row, seats: tuple[Seat, ...] = HERE, honest: Row = HONEST, **bounds: Any
) -> Report:
    target = cast(Target, Nowhere(*seats))
    return await probe(target, STANDARD, rows, bounds=Bounds(**bounds), honest=honest)


async def test_all_good_is_0_and_one_bad_is_1() -> None:
    assert (await _probe(_row("one", _good))).exit_code == 0
    report = await _probe(_row("one", _good), _row("two", _bad))
    assert report.exit_code == 1
    assert [row.result for row in report.rows] == ["pass", "pass", "fail"]
    assert report.rows[-1].got == "bad: very"


async def test_what_openssl_cannot_do_is_untested_and_changes_no_exit_code() -> None:
    async def cannot(_lab: Lab) -> Observation:
        raise Untested("this build cannot offer it")

    report = await _probe(_row("one", cannot))
    assert (report.rows[-1].result, report.rows[-1].got) == (
        "untested",
        "this build cannot offer it",
    )
    assert report.exit_code == 0


async def test_a_target_out_of_reach_is_2_unless_something_falls_short() -> None:
    async def blocked(_lab: Lab) -> Observation:
        raise Blocked("signalling failed")

    assert (await _probe(_row("one", blocked))).exit_code == 2
    assert (await _probe(_row("one", blocked), _row("two", _bad))).exit_code == 1


async def test_a_target_that_wants_to_be_asked_later_is() -> None:
    later = Postponed("HTTP 429", 0.01)
    answers: list[Observation | Postponed] = [later, later, Observation("good")]

    async def busy(_lab: Lab) -> Observation:
        answer = answers.pop(0)
        if isinstance(answer, Postponed):
            raise answer
        return answer

    assert (await _probe(_row("one", busy))).exit_code == 0
    assert answers == []


async def test_a_target_that_wants_to_be_asked_after_the_run_is_blocked() -> None:
    async def busy(_lab: Lab) -> Observation:
        raise Postponed("HTTP 429", 100)

    report = await asyncio.wait_for(_probe(_row("one", busy), seconds=50), PATIENCE)
    assert (report.rows[-1].got, report.exit_code) == ("HTTP 429", 2)


async def test_a_row_that_fails_over_silence_is_run_twice() -> None:
    seen = [Observation("bad", "no answer", silent=True), Observation("good")]

    async def hard_of_hearing(_lab: Lab) -> Observation:
        return seen.pop(0)

    assert (await _probe(_row("one", hard_of_hearing))).exit_code == 0


async def test_a_row_that_hangs_is_untested_in_its_time() -> None:
    async def hang(_lab: Lab) -> Observation:
        await asyncio.Event().wait()
        raise AssertionError

    report = await _probe(_row("one", hang, seconds=0.05), _row("two", _good))
    assert [row.result for row in report.rows] == ["pass", "untested", "pass"]
    assert report.exit_code == 2


async def test_a_run_ends_when_its_time_is_over() -> None:
    async def hang(_lab: Lab) -> Observation:
        await asyncio.Event().wait()
        raise AssertionError

    rows = [_row(f"row {number}", hang) for number in range(9)]
    report = await asyncio.wait_for(_probe(*rows, seconds=0.1, rows_at_once=2), PATIENCE)
    assert report.count("untested") == 9
    assert report.rows[-1].got == "the run's time was over"


async def test_a_bug_in_a_row_is_shown_and_ends_nothing() -> None:
    async def broken(_lab: Lab) -> Observation:
        raise ZeroDivisionError("oops")

    report = await _probe(_row("one", broken), _row("two", _good))
    assert report.rows[1].got == "the probe itself failed: ZeroDivisionError: oops"
    assert report.exit_code == 2


async def test_where_an_honest_client_is_refused_nothing_else_runs() -> None:
    report = await _probe(_row("one", _good), honest=_row("honest-client", _bad))
    assert [row.result for row in report.rows] == ["fail", "untested"]
    assert report.exit_code == 2


async def test_seats_are_of_one_room_and_nobody_sits_twice() -> None:
    taken: set[int] = set()
    rooms: list[str] = []

    async def sit(lab: Lab) -> Observation:
        numbers = {seat.number for seat in lab.seats}
        assert not numbers & taken
        assert len({seat.room for seat in lab.seats}) == 1
        taken.update(numbers)
        room = lab.seats[0].room
        rooms.append(room)
        assert rooms.count(room) == 1 or len(numbers) == 1, "not alone in the room"
        await asyncio.sleep(0)
        taken.difference_update(numbers)
        rooms.remove(room)
        return Observation("good")

    rows = [_row(f"row {number}", sit, peers=1 + number % 3) for number in range(30)]
    assert (await _probe(*rows, rows_at_once=6)).exit_code == 0


async def test_a_row_for_which_there_are_too_few_seats_says_so() -> None:
    report = await _probe(_row("one", _good, peers=2), seats=HERE[-1:])
    assert report.rows[-1].got == "it needs 2 tokens of different people in one room"
    assert report.exit_code == 0


async def test_reports_hold_what_was_seen_and_no_control_characters() -> None:
    async def strange(_lab: Lab) -> Observation:
        return Observation("bad", "\x1b[31mred\x00 <&>")

    report = await _probe(_row("one", strange))
    body = json.loads(as_json(report))
    assert body["rows"][1] == {
        "id": "one",
        "tried": "tried one",
        "expected": "good",
        "got": "bad: \x1b[31mred\x00 <&>",
        "result": "fail",
        "clause": "a clause",
    }
    suite = ElementTree.fromstring(as_junit(report))
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "bad: \ufffd[31mred\ufffd <&>"
    assert summary(report) == "nowhere, policy standard: 1 pass, 1 fail, 0 untested of 2 rows."
