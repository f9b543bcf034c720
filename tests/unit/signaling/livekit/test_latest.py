"""What many are told alike is made once."""

from __future__ import annotations

from signaling.livekit.latest import Latest


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
