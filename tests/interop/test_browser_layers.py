"""A browser's page gets the simulcast layer that fits the tile it shows it in."""

from __future__ import annotations

import pytest

from tests.browser.driver import DriverError
from tests.interop.sdk import Caller
from tests.interop.test_browsers import anna
from tests.interop.visitor import Visitor, tile
from tests.node import running_node
from tests.patience import PATIENCE

pytestmark = pytest.mark.timeout(400)


async def test_a_page_gets_the_layer_that_fits_its_tile_and_another_when_that_changes() -> None:
    async with (
        running_node() as node,
        anna(node, "layers") as chromium,
        Caller.joined(node, "layers", "Sdk") as sdk,
    ):
        await chromium.join("layers", camera=False)
        await sdk.publish_picture(6, 1280, 720)  # of which the page's tile is worth the largest
        await _is_sent(chromium, 1280)
        await chromium.page.resize(480, 360)
        await _is_sent(chromium, 640)
        await chromium.page.resize(1280, 720)
        await _is_sent(chromium, 1280)


async def _is_sent(visitor: Visitor, width: int) -> None:
    """Wait until the SDK's picture comes in that width, whatever size it is shown at."""
    selector = f"{tile('Sdk')} video"
    try:
        await visitor.page.wait_for(
            "(css, width) => document.querySelector(css)?.videoWidth === width",
            selector,
            width,
            timeout=PATIENCE,
        )
    except DriverError:
        seen = await visitor.page.wait_for(
            """(css) => Array.from(document.querySelectorAll(css), (video) =>
              [video.videoWidth, video.videoHeight, video.clientWidth, video.clientHeight])""",
            selector,
        )
        raise AssertionError(f"not {width} wide, but of what size and shown at: {seen}") from None
