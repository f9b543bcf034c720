"""Chromium and Firefox publish by WHIP and view by WHEP, their ICE agents restarted under way."""

from __future__ import annotations

import pytest

from tests.browser.driver import Browser, BrowserName
from tests.browser.recognise import heard_tone
from tests.interop import whip
from tests.interop.sdk import Caller, eventually, token_for
from tests.interop.whip_page import HEIGHT, WIDTH, WhipPage
from tests.node import Node

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

BOTH = pytest.mark.parametrize("kind", ["chromium", "firefox"])


@BOTH
async def test_a_browser_sees_and_hears_one_publisher_after_another(
    node: Node, kind: BrowserName
) -> None:
    room = f"view-{kind}"
    async with Browser.launch(kind, tone_hz=300) as browser:
        page = await browser.open(node.origin)
        viewer = WhipPage(page, token_for(node, room, "eye"))
        await viewer.view(room)
        tag = ""
        for hertz, painter in ((440, 3), (880, 4)):
            camera = token_for(node, room, f"camera-{painter}")
            async with whip.publisher(node, room, camera, hertz=hertz, painter=painter):
                await heard_tone(page, hertz)
                await viewer.sees(painter)
                before, tag = tag, await viewer.restart_ice()
                assert tag != before
                await viewer.sees(painter)

        async def connected() -> bool:
            return await viewer.state() == "connected"

        await eventually(connected, "the connection did not outlive its restarts")
        assert await viewer.hang_up() == 200


@BOTH
async def test_a_browser_is_heard_and_seen(node: Node, kind: BrowserName) -> None:
    room = f"publish-{kind}"
    async with (
        Browser.launch(kind, tone_hz=440) as browser,
        Caller.joined(node, room, "ada") as ada,
    ):
        publisher = WhipPage(await browser.open(node.origin), token_for(node, room, "booth"))
        await publisher.publish(room, painter=3)
        await ada.hears("booth", 440)
        await ada.sees("booth", 3, (WIDTH, HEIGHT))
        await publisher.restart_ice()
        await ada.hears("booth", 440)
        await ada.sees("booth", 3, (WIDTH, HEIGHT))
        assert await publisher.hang_up() == 200
        await ada.until(lambda: ada.happened("participant_disconnected"), "it did not leave")

        async def closed() -> bool:
            return await publisher.state() in ("closed", "failed", "disconnected")

        await eventually(closed, "the browser was not told")
