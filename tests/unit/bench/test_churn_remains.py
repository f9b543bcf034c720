"""What counts as left behind by people who have gone."""

from __future__ import annotations

from dataclasses import replace

from bench.churn.remains import GROWTH_A_JOIN, Look, faults

START = Look(resident=100_000_000, descriptors=20, threads=3, joins=0)


def rounds(each: float, **end: object) -> list[Look]:
    """Ten rounds of a thousand joins, each of which leaves so many bytes; `end` of the last."""
    looks = [
        replace(START, joins=1000 * n, resident=START.resident + int(1000 * n * each))
        for n in range(11)
    ]
    looks[-1] = replace(looks[-1], **end)  # type: ignore[arg-type]  # whatever a test asks for
    return looks


def test_a_server_as_it_was_is_without_fault() -> None:
    assert faults(rounds(0)) == []


def test_memory_that_every_join_adds_to_is_a_fault() -> None:
    assert faults(rounds(GROWTH_A_JOIN - 10)) == []
    assert faults(rounds(GROWTH_A_JOIN + 10)) == [
        "memory grew by 210 bytes with each of 3000 joins"
    ]


def test_what_the_first_joins_alone_add_is_not() -> None:
    looks = [replace(look, resident=look.resident + 30_000_000) for look in rounds(0)]
    assert faults([START, *looks[1:]]) == []


def test_peers_descriptors_and_threads_that_stay_are_faults() -> None:
    assert faults(rounds(0, left={"conclave_peers": 1})) == [
        "conclave_peers is 1 with nobody there"
    ]
    assert faults(rounds(0, descriptors=25)) == ["5 descriptors are left open"]
    assert faults(rounds(0, threads=4)) == ["1 threads are left"]
