"""Calls on the product's page between real browsers. What is received is recognised."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.browser.driver import BrowserName
from tests.browser.recognise import heard_tone
from tests.browser.sources import Pattern, presentation
from tests.interop.sdk import Caller
from tests.interop.visitor import SCREEN, Visitor, tile
from tests.node import ROOT, Node, running_node

# Two or three browsers on two cores, software encoders and decoders: alone it takes a quarter.
pytestmark = pytest.mark.timeout(400)

SLIDES, SLIDES_HZ = Pattern(815), 1900


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with running_node() as running:
        yield running


async def test_chromium_and_firefox_hear_and_see_each_other(node: Node) -> None:
    async with anna(node, "call") as chromium, ben(node, "call") as firefox:
        await chromium.join("call")
        await firefox.join("call")
        await asyncio.gather(chromium.hears(firefox), firefox.hears(chromium))
        await firefox.sees(chromium, size=(1280, 720))
        await chromium.sees(firefox, size=(1280, 720))
        for visitor in (chromium, firefox):
            await visitor.counts(2)
            await visitor.picture("call")
            await the_padlock_agrees(visitor, node)


@pytest.mark.parametrize("profile", ["AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"])
async def test_chromium_and_the_python_sdk_hear_each_other(profile: str) -> None:
    async with (
        running_node(MEDIA__SRTP_PROFILES=profile) as node,
        anna(node, f"sdk-{profile}") as chromium,
        Caller.joined(node, "sdk", "Sdk") as sdk,
    ):
        await chromium.join("sdk")
        await sdk.publish_tone(1300)
        await heard_tone(chromium.page, 1300)
        (identity,) = sdk.room.remote_participants
        await sdk.hears(identity, chromium.hz)

        (seen,) = await chromium.transports()
        (recorded,) = await node.transports(await chromium.token())
        assert recorded["srtp_profile"] == profile
        assert seen["srtpCipher"] in SRTP_NAMES[profile]
        assert seen["dtlsCipher"] == recorded["cipher_suite"]
        assert seen["tlsVersion"] == "FEFD"
        assert recorded["dtls_version"] == "DTLS 1.2"


async def test_a_screen_is_shared_by_chromium_with_its_sound_and_by_firefox(node: Node) -> None:
    async with anna(node, "screen") as chromium, ben(node, "screen") as firefox:
        await chromium.join("screen")
        await firefox.join("screen")
        await shares(chromium)
        await firefox.sees_screen(SLIDES)
        await heard_tone(firefox.page, SLIDES_HZ)
        await firefox.hears(chromium)
        await firefox.picture("chromium-shares")
        await chromium.page.show()
        await chromium.picture("chromium-shares")
        await chromium.page.click("screen-toggle")
        await firefox.misses(SCREEN)

        await shares(firefox)
        await chromium.sees_screen(SLIDES)
        await chromium.picture("firefox-shares")


async def test_people_mute_come_late_reload_and_leave(node: Node) -> None:
    async with anna(node, "people") as chromium, ben(node, "people") as firefox:
        await chromium.join("people")
        await firefox.join("people")
        await firefox.hears(chromium)

        await chromium.page.click("mic-toggle")
        await firefox.finds(f'{tile(chromium.name)}[data-mic="off"]')
        await firefox.hears_nothing()
        await firefox.picture("muted")
        await chromium.page.click("mic-toggle")
        await firefox.finds(f'{tile(chromium.name)}[data-mic="on"]')
        await firefox.hears(chromium)

        async with cleo(node, "people") as late:
            await late.page.evaluate(WATCH_THE_CLOCK)
            await late.join("people")
            # Printed, not asserted: three browsers encode on the test's own cores.
            took = await late.page.wait_for("() => window.running", timeout=100)
            print(f"\na third who joins gets what is running {took / 1000:.2f} s after the room")
            await late.hears(chromium)
            await late.hears(firefox)
            await late.sees(chromium)
            await chromium.hears(late)
            for visitor in (chromium, firefox, late):
                await visitor.counts(3)
            await late.picture("third")
            await late.page.click("leave")
            await late.finds('[data-testid="ended"]')
        for visitor in (chromium, firefox):
            await visitor.counts(2)
            await visitor.misses(tile("Cleo"))

        await chromium.page.reload()
        await chromium.is_in_the_call()
        await asyncio.gather(chromium.hears(firefox), firefox.hears(chromium))
        await firefox.counts(2)


@pytest.mark.skipif("CONCLAVE_README_SCREENSHOT" not in os.environ, reason="only when asked for")
async def test_a_picture_for_the_readme(node: Node) -> None:
    async with (
        anna(node, "readme") as chromium,
        ben(node, "readme") as firefox,
        cleo(node, "readme") as third,
    ):
        for visitor in (third, firefox, chromium):
            await visitor.join("stand-up")
        await shares(third)
        await chromium.page.resize(1200, 720)
        await chromium.sees_screen(SLIDES)
        await chromium.sees(third)
        await chromium.hears(firefox)
        await the_padlock_agrees(chromium, node)
        await chromium.page.screenshot(ROOT / "docs" / "call.png")


@asynccontextmanager
async def anna(node: Node, run: str) -> AsyncIterator[Visitor]:
    async with visitor("chromium", node, "Anna", 700, Pattern(123), run) as one:
        yield one


@asynccontextmanager
async def ben(node: Node, run: str) -> AsyncIterator[Visitor]:
    async with visitor("firefox", node, "Ben", 1100, Pattern(0), run) as one:
        yield one


@asynccontextmanager
async def cleo(node: Node, run: str) -> AsyncIterator[Visitor]:
    async with visitor("chromium", node, "Cleo", 1500, Pattern(456), run) as one:
        yield one


@asynccontextmanager
async def visitor(
    kind: BrowserName, node: Node, name: str, hz: int, pattern: Pattern, run: str
) -> AsyncIterator[Visitor]:
    launched = Visitor.launched(kind, node, name, hz=hz, pattern=pattern, run=run)
    async with launched as one:
        yield one


async def shares(visitor: Visitor) -> None:
    """Share the slides: Chromium their tab and its sound, Firefox the display they fill."""
    slides = await visitor.browser.open(presentation(SLIDES, SLIDES_HZ))
    await visitor.page.show()
    await visitor.page.click("screen-toggle")
    await visitor.finds('[data-testid="screen-toggle"][data-enabled="true"]')
    await slides.show()


async def the_padlock_agrees(visitor: Visitor, node: Node) -> None:
    """The panel shows what the server recorded, and says that the browser sees the same."""
    await visitor.page.click("padlock")
    await visitor.finds('[data-testid="padlock-match"][data-match="match"]')
    panel = await visitor.page.text("padlock-panel")
    (recorded,) = await node.transports(await visitor.token())
    for field in ("dtls_version", "cipher_suite", "group", "srtp_profile"):
        assert recorded[field] in panel, (field, panel)
    for end in ("local_fingerprint", "remote_fingerprint"):
        assert recorded[end]["value"] in panel, (end, panel)
    await visitor.picture("padlock")
    await visitor.page.click("padlock")
    await visitor.misses('[data-testid="padlock-panel"]')


SRTP_NAMES = {
    "AEAD_AES_128_GCM": {"AEAD_AES_128_GCM", "SRTP_AEAD_AES_128_GCM"},
    "AES128_CM_HMAC_SHA1_80": {
        "AES_CM_128_HMAC_SHA1_80",
        "SRTP_AES128_CM_HMAC_SHA1_80",
        "SRTP_AES128_CM_SHA1_80",
    },
}

# Milliseconds from the room on screen until both others are heard and seen running.
WATCH_THE_CLOCK = """() => {
  let start = null;
  const look = () => {
    const others = document.querySelectorAll(
      '[data-testid="participant-tile"][data-local="false"]').length;
    if (start === null && document.querySelector('[data-testid="participant-tile"]') !== null) {
      start = performance.now();
    }
    const running = (css) => [...document.querySelectorAll(css)].filter(
      (element) => element.srcObject && element.readyState >= 2 && element.currentTime > 0).length;
    const videos = running('[data-testid="participant-tile"][data-local="false"] video');
    if (others === 2 && videos === 2 && running("audio") >= 2) {
      window.running = performance.now() - start;
    } else {
      setTimeout(look, 20);
    }
  };
  look();
}"""
