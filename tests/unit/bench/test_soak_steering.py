"""The rate of a soak's cameras follows the load that it brings."""

from __future__ import annotations

import pytest

from bench.soak.steering import BUSY, Steering


class Cameras:
    def __init__(self) -> None:
        self.rate = 0.0

    def set_rate(self, rate: float) -> None:
        self.rate = rate


@pytest.mark.parametrize("cost", [1 / 200, 1 / 1000, 1 / 4000])
def test_the_load_that_is_wanted_is_found(cost: float) -> None:
    cameras = Cameras()
    steering = Steering(cameras, 0.6)
    for _ in range(8):
        steering.correct(cameras.rate * cost, 0.1, most=2.0)
    assert cameras.rate * cost == pytest.approx(0.6)


def test_a_generator_at_its_end_goes_no_further() -> None:
    cameras = Cameras()
    steering = Steering(cameras, 0.6)
    for _ in range(8):
        steering.correct(cameras.rate / 2000, cameras.rate / 1000, most=2.0)
    assert cameras.rate / 1000 == pytest.approx(BUSY)


def test_one_measurement_moves_it_by_no_more_than_it_may() -> None:
    cameras = Cameras()
    steering = Steering(cameras, 0.6)
    steering.correct(0.0, 0.0, most=1.25)
    assert cameras.rate == pytest.approx(250)
    steering.correct(6.0, 0.5, most=1.25)
    assert cameras.rate == pytest.approx(200)
