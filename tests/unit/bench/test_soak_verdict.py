"""A soak's verdict: what is wrong is named, what is well is not."""

from __future__ import annotations

from bench.soak.verdict import Sample, Verdict

MEBIBYTE = 1 << 20
BALANCED = {
    "rtp_in": 10,
    "rtp_accepted": 7,
    "rtp_drop_replayed": 2,
    "rtp_drop_bad": 1,
    "rtp_offered": 20,
    "rtp_out": 15,
    "rtp_skip_paused": 5,
}


def verdict(
    *, grows: float = 0.0, minutes: int = 20, relay: dict[str, int] = BALANCED, left: int = 0
) -> Verdict:
    """After a time in which memory grew by so many bytes a second, from a large first step on."""
    samples = [
        Sample(at, int(120 * MEBIBYTE + (30 * MEBIBYTE if at > 60 else 0) + grows * at), 0.6, 40)
        for at in range(0, 60 * minutes + 1, 5)
    ]
    return Verdict(samples, {"goes": 3}, relay, {"peers": left}, lost=0)


def faults(one: Verdict, failures: tuple[str, ...] = ()) -> list[str]:
    one.judge(failures)
    return one.faults


def test_what_grew_at_first_and_then_stays_is_flat() -> None:
    assert faults(verdict()) == []


def test_memory_that_goes_on_growing_is_a_fault() -> None:
    (fault,) = faults(verdict(grows=8 * MEBIBYTE / 1200))
    assert fault.startswith("memory grows: 5.")


def test_a_short_time_tells_nothing_about_memory() -> None:
    assert faults(verdict(grows=MEBIBYTE, minutes=2)) == []


def test_peers_that_are_left_are_a_fault() -> None:
    assert faults(verdict(left=2)) == ["peers are left: 2"]


def test_sessions_that_end_by_themselves_are_a_fault() -> None:
    assert faults(verdict(), ("the session was lost",)) == [
        "1 sessions ended; the first: the session was lost"
    ]


def test_a_packet_without_a_reason_is_a_fault() -> None:
    (fault,) = faults(verdict(relay={**BALANCED, "rtp_out": 14}))
    assert fault == "rtp_offered is 20, its parts are 19"
