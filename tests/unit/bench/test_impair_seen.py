"""Samples of a call become what a person saw: freezes, layers, sound that was made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.impair.seen import Sample, Seen, seen
from bench.link.conditions import PERFECT, Conditions, Schedule

FIRST = Sample(
    at=0.0,
    height=720,
    frames=100,
    freezes=1,
    frozen=0.5,
    concealed=480,
    samples=48_000,
    link_bytes=1000,
    link_offered=10,
    link_lost=1,
    link_overflowed=0,
    smallest=180,
    largest=720,
)
CAPS = Schedule(((0, Conditions(rate=2e6)), (10, Conditions(rate=3e5)), (20, Conditions(rate=2e6))))


def second(before: Sample, *, fps: int = 30, height: int = 720, kbit: int = 1600) -> Sample:
    """The sample a second later, of a call in which all is well."""
    return replace(
        before,
        at=before.at + 1,
        frames=before.frames + fps,
        height=height,
        samples=before.samples + 48_000,
        link_bytes=before.link_bytes + kbit * 1000 // 8,
        link_offered=before.link_offered + 200,
    )


def course(*heights: int, narrow_kbit: int = 240) -> list[Sample]:
    """A second for each height; 0 for one without a picture."""
    samples = [FIRST]
    for height in heights:
        before = samples[-1]
        narrow = 10 <= before.at < 20
        kbit = narrow_kbit if narrow else 1600
        shown = height or before.height
        samples.append(second(before, fps=30 if height else 0, height=shown, kbit=kbit))
    return samples


def test_what_was_before_the_first_sample_does_not_count() -> None:
    calm = seen(course(*[720] * 10), Schedule.always(PERFECT))
    assert (calm.fps, calm.freezes, calm.frozen, calm.concealed) == (30, 0, 0, 0)
    assert (calm.height, calm.layer_changes, calm.lost, calm.longest_freeze) == (720, 0, 0, 0)
    assert calm.kbit == pytest.approx(1600)


def test_freezes_and_concealed_sound_are_what_was_added() -> None:
    end = second(FIRST)
    end = replace(
        end, freezes=3, frozen=1.5, concealed=480 + 4800, link_lost=11, link_overflowed=10
    )
    bad = seen([FIRST, end], Schedule.always(PERFECT))
    assert bad.freezes == 2
    assert bad.frozen == pytest.approx(1.0)
    assert bad.longest_freeze == pytest.approx(0.5)
    assert bad.concealed == pytest.approx(0.1)
    assert bad.lost == pytest.approx(0.1)


def test_a_freeze_that_is_not_over_counts_although_the_browser_has_not_counted_it() -> None:
    stuck = seen(course(720, 720, 0, 0, 0), Schedule.always(PERFECT))
    assert stuck.freezes == 0
    assert stuck.frozen == pytest.approx(3.0)
    assert stuck.longest_freeze == pytest.approx(3.0)


def test_the_right_layer_is_reached_when_it_is_shown_and_stays() -> None:
    down = [720, 180, 720, 720, *[180] * 6]
    up = [180, 180, 360, 360, *[720] * 6]
    found = seen(course(*[720] * 10, *down, *up), CAPS)
    wide, narrow, again = found.steps
    assert wide.reached_after == 1.0
    assert (narrow.right, narrow.right_height, narrow.reached_after) == ("smallest", 180, 5.0)
    assert (again.right, again.right_height, again.reached_after) == ("largest", 720, 5.0)


def test_the_right_layer_is_the_one_that_a_browser_short_of_processor_makes_smaller() -> None:
    heights = [*[540] * 10, 540, *[135] * 9, *[270] * 3, *[540] * 7]
    samples = [replace(each, smallest=135, largest=540) for each in course(*heights)]
    _, narrow, again = seen(samples, CAPS).steps
    assert (narrow.right_height, narrow.reached_after) == (135, 2.0)
    assert (again.right_height, again.reached_after) == (540, 4.0)


def test_a_layer_that_is_not_sent_is_not_reached() -> None:
    samples = [replace(each, largest=0) for each in course(*[720] * 30)]
    assert seen(samples, CAPS).steps[0].reached_after is None


def test_a_layer_that_is_only_remembered_is_not_reached() -> None:
    found = seen(course(*[720] * 10, 180, *[0] * 9, *[720] * 10), CAPS)
    assert found.steps[1].reached_after is None
    assert found.steps[1].longest_freeze == pytest.approx(9.0)


def test_the_used_part_of_a_cap_is_that_of_the_second_half() -> None:
    found = seen(course(*[720] * 10, *[180] * 10, *[720] * 10), CAPS)
    assert found.steps[0].used == pytest.approx(0.8)
    assert found.steps[1].used == pytest.approx(0.8)


def test_no_sound_at_all_is_not_no_concealment() -> None:
    silent = [replace(each, samples=0, concealed=0) for each in course(720, 720)]
    assert seen(silent, Schedule.always(PERFECT)).concealed == 1.0


def test_what_was_seen_is_the_same_after_json() -> None:
    found = seen(course(*[720] * 30), CAPS)
    assert Seen.read(found.written()) == found
