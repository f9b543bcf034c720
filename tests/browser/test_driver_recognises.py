"""The ears and eyes of the browser tests, without our server: a browser calls itself.

What is captured goes through the browser's own encoder, SRTP and decoder before it is recognised.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.driver import HERE, Browser, Page
from tests.browser.recognise import Seen, heard_tone, seen_picture, watch
from tests.browser.sources import SMALL, Pattern, presentation

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


async def test_chromiums_tone_and_picture_are_recognised_and_no_others(loopback: str) -> None:
    async with Browser.launch("chromium", tone_hz=700, pattern=CAMERA, size=SMALL) as browser:
        page = await _calling_itself(browser, loopback)
        await _its_tone_alone_is_heard(page, 700)
        seen = await seen_picture(page, lambda seen: seen.is_pattern(CAMERA))
        assert not seen.is_pattern(SCREEN)
        assert not seen.is_firefox_camera()
        await page.evaluate('() => document.querySelector("video").pause()')
        (seen,) = await watch(page, most=2.0)
        assert not seen.is_pattern(CAMERA), "a picture that stands still"

        await _its_shared_screen_is_seen(browser, loopback, "shared audio and video")


async def test_firefoxs_tone_and_picture_are_recognised_and_no_others(loopback: str) -> None:
    async with Browser.launch("firefox", tone_hz=1100) as browser:
        page = await _calling_itself(browser, loopback)
        await _its_tone_alone_is_heard(page, 1100)
        seen = await seen_picture(page, Seen.is_firefox_camera)
        assert not seen.is_pattern(CAMERA)

        await _its_shared_screen_is_seen(browser, loopback, "shared video")


async def _calling_itself(browser: Browser, loopback: str) -> Page:
    page = await browser.open(loopback)
    await page.click("start")
    await _state(page, "sent")
    return page


async def _its_tone_alone_is_heard(page: Page, hz: float) -> None:
    heard = await heard_tone(page, hz)
    assert not heard.is_tone(900)
    assert not heard.is_tone(hz * 1.03)


async def _its_shared_screen_is_seen(browser: Browser, loopback: str, what: str) -> None:
    """Chromium shares the presentation's tab with its sound, Firefox the display: picture only."""
    page = await browser.open(loopback)
    slides = await browser.open(presentation(SCREEN, 1900))
    await page.show()
    await page.click("share")
    await _state(page, what)
    await slides.show()
    await seen_picture(page, lambda seen: seen.is_pattern(SCREEN))
    if "audio" in what:
        await heard_tone(page, 1900)


async def _state(page: Page, wanted: str) -> None:
    state = await page.text("state")
    assert state == wanted, await page.messages()
    await page.wait_for(
        "() => [...document.querySelectorAll('video')].some((video) => video.videoWidth > 0)"
    )
