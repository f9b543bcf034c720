"""Somebody on the product's page in a real browser: does what people do, tells what is shown."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser import connections
from tests.browser.driver import Browser, BrowserName, Page
from tests.browser.installed import built_page
from tests.browser.recognise import Seen, hear, heard_tone, seen_picture
from tests.browser.sources import SMALL, Pattern
from tests.node import ROOT, Node
from tests.patience import PATIENCE

ARTIFACTS = ROOT / "tests" / "artifacts"
SCREEN = '[data-testid="screen-stage"] video'

# Lets a test ask the server about whom the untouched client says it is.
_REMEMBER_TOKEN = """() => {
  const fetched = window.fetch;
  window.fetch = async (...args) => {
    const answer = await fetched(...args);
    const minted = String(args[0]).endsWith("/v1/dev/token");
    if (minted) window.token = (await answer.clone().json()).token;
    return answer;
  };
}"""

# Width and height of the largest picture that this browser sends now.
_LARGEST_SENT = """async () => {
  const sent = async () => {
    const found = [];
    for (const connection of window.connections) {
      found.push(...(await connection.getStats()).values());
    }
    return found.filter(({ type, kind }) => type === "outbound-rtp" && kind === "video");
  };
  const before = new Map((await sent()).map(({ id, framesSent }) => [id, framesSent]));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const running = (await sent()).filter(({ id, framesSent }) => framesSent > before.get(id));
  const sizes = running.map(({ frameWidth, frameHeight }) => [frameWidth, frameHeight]);
  return sizes.sort(([one], [other]) => other - one)[0] ?? [0, 0];
}"""


@dataclass
class Visitor:
    """One person in one tab of a browser of their own."""

    name: str
    hz: int
    pattern: Pattern
    browser: Browser
    page: Page
    run: str

    @classmethod
    @asynccontextmanager
    async def launched(
        cls,
        kind: BrowserName,
        node: Node,
        name: str,
        *,
        hz: int,
        pattern: Pattern,
        run: str,
        size: tuple[int, int] = SMALL,
    ) -> AsyncIterator[Visitor]:
        """Start the browser and open the page; at the end keep a picture and the console.

        `hz` is what the microphone plays, `pattern` what Chromium's camera shows, and `size` its
        resolution; `run` names the artefacts.
        """
        built_page()
        async with Browser.launch(kind, tone_hz=hz, pattern=pattern, size=size) as browser:
            page = await browser.open(f"{node.origin}/?audio=raw")
            visitor = cls(name, hz, pattern, browser, page, run)
            try:
                yield visitor
            finally:
                await visitor.picture("end")
                (ARTIFACTS / f"{run}-{name}.log").write_text("\n".join(await page.messages()))

    async def join(self, room: str, *, camera: bool = True) -> None:
        """Join by the form, and wait until the call is on screen."""
        await self.page.type("join-name", self.name)
        await self.page.type("join-room", room)
        if not camera:
            await self.page.click("join-camera")
        await self.page.evaluate(_REMEMBER_TOKEN)
        await connections.remember(self.page)
        await self.page.click("join-button")
        await self.is_in_the_call()

    async def is_in_the_call(self) -> None:
        await self.page.wait_for(
            """() => document.querySelector('[data-testid="join-error"]')?.innerText
            || document.querySelector('[data-testid="participant-tile"]') !== null""",
            timeout=PATIENCE,
        )
        assert await self.page.evaluate(
            """() => document.querySelector('[data-testid="join-error"]') === null"""
        ), await self.page.text("join-error")

    async def hears(self, other: Visitor) -> None:
        """Recognise the other's tone among what this page plays."""
        await heard_tone(self.page, other.hz)

    async def hears_no_more(self, other: Visitor) -> None:
        """Wait until the other's tone is in nothing that this page plays."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = await hear(self.page)
            if not any(heard.is_tone(other.hz) for heard in found):
                return
            assert time.monotonic() < deadline, found

    async def sees(self, other: Visitor) -> None:
        """Recognise the other's camera."""
        await seen_picture(self.page, other.is_shown_in, f"{tile(other.name)} video")

    async def sees_all_of(self, other: Visitor) -> None:
        """Recognise the other's camera in the largest size in which the other sends it: that of
        the camera, but a browser on a busy machine leaves out its larger layers.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            sent = tuple(await other.page.evaluate(_LARGEST_SENT))
            selector = f"{tile(other.name)} video"
            seen = await seen_picture(self.page, other.is_shown_in, selector)
            if sent == (seen.width, seen.height):
                return
            assert time.monotonic() < deadline, f"{sent} is sent, but seen is {seen}"

    def is_shown_in(self, seen: Seen) -> bool:
        if self.browser.name == "firefox":
            return seen.is_firefox_camera()
        return seen.is_pattern(self.pattern)

    async def sees_screen(self, pattern: Pattern) -> None:
        """Recognise `pattern` on the shared screen."""
        await seen_picture(self.page, lambda seen: seen.is_pattern(pattern), SCREEN)

    async def finds(self, selector: str) -> None:
        """Wait until there is an element."""
        await self.page.wait_for(
            "(css) => document.querySelector(css) !== null", selector, timeout=PATIENCE
        )

    async def misses(self, selector: str) -> None:
        """Wait until there is no such element."""
        await self.page.wait_for(
            "(css) => document.querySelector(css) === null", selector, timeout=PATIENCE
        )

    async def counts(self, people: int) -> None:
        """Wait until the page says that so many are in the call."""
        await self.page.wait_for(
            """(count) =>
            document.querySelector('[data-testid="participant-count"]')?.innerText === count
            && document.querySelectorAll('[data-testid="participant-tile"]').length === +count""",
            str(people),
            timeout=PATIENCE,
        )

    async def transports(self) -> list[dict[str, Any]]:
        """What getStats says of the transports: dtlsCipher, srtpCipher, tlsVersion and more."""
        return await connections.statistics(self.page, "transport")

    async def token(self) -> str:
        """The bearer this page joined with."""
        return str(await self.page.evaluate("() => window.token"))

    async def picture(self, moment: str) -> Path:
        """Keep a screenshot under tests/artifacts."""
        path = ARTIFACTS / f"{self.run}-{self.name}-{moment}.png"
        await self.page.screenshot(path)
        return path


def tile(name: str) -> str:
    """The CSS selector of somebody's tile."""
    return f'[data-testid="participant-tile"][data-name="{name}"]'
