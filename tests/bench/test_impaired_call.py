"""A call of real browsers over a bad network: the network was as bad as asked, the call survived.

How good picture and sound were is measured by `make impair`; here machines are small and busy, so
bounds are wide, and what was seen is printed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from bench.impair import bars
from bench.impair.cases import CAP_DOWN, chosen
from bench.impair.play import Call, call
from tests.browser.installed import built_page

# Two browsers on a busy machine; alone it takes a quarter
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BUSY: Final = 2.5
"""Times as long as a bar allows; what does not adapt at all never gets there."""
STALLED: Final = 5.0
"""The same of a freeze, which one stall of the whole machine makes as long: 1 s as a rule, 3.5 s
were seen. What does not adapt is frozen to the end of the step, for 13 s."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Call]:
    """A camera and a viewer; the viewer's network turns bad when a case is played."""
    built_page()
    async with call("subscriber") as running:
        yield running


async def test_a_call_survives_five_percent_loss_towards_the_subscriber(running: Call) -> None:
    (case,) = chosen("loss-5")
    played = await running.play(dataclasses.replace(case, seconds=12.0))
    print(played)
    assert played.survived
    assert played.offered > 400
    # So few packets stray by chance: four standard deviations, not the 5 % of many
    chance = (0.05 * 0.95 / played.offered) ** 0.5
    assert played.seen.lost == pytest.approx(0.05, abs=4 * chance)
    assert played.lateness.refused == 0


async def test_a_link_that_turns_narrow_is_sent_the_smallest_layer_soon(running: Call) -> None:
    played = await running.play(CAP_DOWN)
    print(played)
    assert played.survived
    before, after = played.seen.steps
    assert (before.right, after.right) == ("largest", "smallest")
    assert after.reached_after is not None
    assert after.reached_after < BUSY * bars.DOWN
    assert after.longest_freeze < STALLED * bars.FREEZE
