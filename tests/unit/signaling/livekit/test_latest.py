"""What many are told alike is made once."""

from __future__ import annotations

import itertools

from signaling.livekit.latest import Latest, Remembered


def test_the_same_thing_is_made_once_and_an_equal_one_anew() -> None:
    made: list[list[int]] = []

    def make(given: list[int]) -> int:
        made.append(given)
        return len(made)

    latest = Latest(make)
    first, equal = [1], [1]
    assert [latest(first), latest(first), latest(equal), latest(first)] == [1, 1, 2, 3]


def test_nothing_given_is_a_thing_too() -> None:
    latest: Latest[None, str] = Latest(str)
    assert [latest(None), latest(None)] == ["None", "None"]


class Given:
    """Something that takes weak references, and is equal to all others."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


def test_what_was_made_is_remembered_by_identity_and_as_long_as_it_is_there() -> None:
    made = itertools.count()
    remembered: Remembered[Given, int] = Remembered(lambda _: next(made))
    first, second = Given(), Given()
    assert [remembered(first), remembered(second), remembered(first)] == [0, 1, 0]
    del first
    assert len(remembered) == 1
    assert remembered(second) == 1
    assert remembered(Given()) == 2
    del second
    assert len(remembered) == 0
