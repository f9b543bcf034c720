"""The ears and eyes of the browser tests, without our server: a browser calls itself.

What is captured goes through the browser's own encoder, SRTP and decoder before it is recognised.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.driver import HERE, Browser, BrowserName, Page
from tests.browser.recognise import Seen, heard_tone, seen_picture, watch
from tests.browser.sources import Pattern, presentation

CAMERA, SCREEN = Pattern(123), Pattern(815)


@pytest.fixture
def loopback() -> Iterator[str]:
    """The address of the page that calls itself."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HERE)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/loopback.html"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("name", "hz"), [("chromium", 700), ("firefox", 1100)])
async def test_its_tone_is_recognised_and_no_other(
    name: BrowserName, hz: int, loopback: str
) -> None:
    async with Browser.launch(name, tone_hz=hz, pattern=CAMERA) as browser:
        page = await browser.open(loopback)
        await page.click("start")
        await _state(page, "sent")
        heard = await heard_tone(page, hz)
        assert not heard.is_tone(900)
        assert not heard.is_tone(hz * 1.03)

        if name == "chromium":
            seen = await seen_picture(page, lambda seen: seen.is_pattern(CAMERA))
            assert not seen.is_pattern(SCREEN)
            assert not seen.is_firefox_camera()
        else:
            seen = await seen_picture(page, Seen.is_firefox_camera)
            assert not seen.is_pattern(CAMERA)


async def test_a_picture_that_stands_still_is_not_recognised(loopback: str) -> None:
    async with Browser.launch("chromium", tone_hz=700, pattern=CAMERA) as browser:
        page = await browser.open(loopback)
        await page.click("start")
        await _state(page, "sent")
        await seen_picture(page, lambda seen: seen.is_pattern(CAMERA))
        await page.evaluate('() => document.querySelector("video").pause()')
        (seen,) = await watch(page)
        assert not seen.is_pattern(CAMERA)


@pytest.mark.parametrize("name", ["chromium", "firefox"])
async def test_a_shared_screen_is_recognised(name: BrowserName, loopback: str) -> None:
    """Chromium shares the presentation's tab with its sound, Firefox the display: picture only."""
    async with Browser.launch(name, tone_hz=700, pattern=CAMERA) as browser:
        page = await browser.open(loopback)
        slides = await browser.open(presentation(SCREEN, 1900))
        await page.show()
        await page.click("share")
        sound = name == "chromium"
        await _state(page, "shared audio and video" if sound else "shared video")
        await slides.show()
        await seen_picture(page, lambda seen: seen.is_pattern(SCREEN))
        if sound:
            await heard_tone(page, 1900)


async def _state(page: Page, wanted: str) -> None:
    state = await page.text("state")
    assert state == wanted, await page.messages()
    await page.wait_for(
        "() => [...document.querySelectorAll('video')].some((video) => video.videoWidth > 0)"
    )
