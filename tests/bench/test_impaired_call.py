"""A call of real browsers over a bad network: the network was as bad as asked, the call survived.

How good picture and sound were is told by `make impair`, not asserted: machines differ.
"""

from __future__ import annotations

import dataclasses

import pytest

from bench.impair.cases import chosen
from bench.impair.play import call
from tests.browser.installed import built_page

pytestmark = pytest.mark.timeout(300)  # two browsers on a busy machine; alone it takes a quarter


async def test_a_call_survives_five_percent_loss_towards_the_subscriber() -> None:
    built_page()
    (case,) = chosen("loss-5")
    async with call("subscriber") as running:
        played = await running.play(dataclasses.replace(case, seconds=12.0))
    print(played)
    assert played.survived
    assert played.offered > 400
    # So few packets stray by chance: four standard deviations, not the 5 % of many
    chance = (0.05 * 0.95 / played.offered) ** 0.5
    assert played.seen.lost == pytest.approx(0.05, abs=4 * chance)
    assert played.lateness.refused == 0
