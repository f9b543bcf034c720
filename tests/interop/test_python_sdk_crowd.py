"""Six people who all speak, on one peer connection each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.interop.sdk import Caller
from tests.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_six_publishers_hear_and_see_all_others(node: Node) -> None:
    tones = {f"p{number}": 300.0 + 150 * number for number in range(6)}
    painters = {"p0": 1, "p3": 2}
    async with AsyncExitStack() as leaving:
        joining = [leaving.enter_async_context(Caller.joined(node, "six", name)) for name in tones]
        people = dict(zip(tones, await asyncio.gather(*joining), strict=True))
        await asyncio.gather(*(people[name].publish_tone(hertz) for name, hertz in tones.items()))
        for name, painter in painters.items():
            await people[name].publish_picture(painter, 320, 180)
        for me in people:  # one after the other: thirty decoders at once are the test's own load
            others = [name for name in people if name != me]
            await asyncio.gather(
                *(people[me].hears(people[other], tones[other]) for other in others),
                *(
                    people[me].sees(people[other], painters[other], (320, 180), frames=5)
                    for other in others
                    if other in painters
                ),
            )
