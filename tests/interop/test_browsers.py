"""Calls on the product's page between real browsers. What is received is recognised."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest

from tests.browser.recognise import heard_tone
from tests.browser.sources import LARGE, SMALL, Pattern, presentation
from tests.interop.sdk import Caller
from tests.interop.visitor import SCREEN, Visitor, tile
from tests.node import ROOT, Node, running_node

# Two browsers on two cores, software encoders and decoders: alone it takes a tenth.
pytestmark = pytest.mark.timeout(400)

SLIDES, SLIDES_HZ = Pattern(815), 1900
Launched = AbstractAsyncContextManager[Visitor]


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with running_node() as running:
        yield running


async def test_chromium_and_firefox_hear_and_see_each_other(node: Node) -> None:
    async with anna(node, "call", LARGE) as chromium, ben(node, "call") as firefox:
        await chromium.join("call")
        await firefox.join("call")
        await asyncio.gather(chromium.hears(firefox), firefox.hears(chromium))
        await firefox.sees_all_of(chromium)
        await chromium.sees_all_of(firefox)
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
        await chromium.join("sdk", camera=False)
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
        await firefox.join("screen", camera=False)
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


async def test_people_come_late_mute_leave_and_reload(node: Node) -> None:
    async with (
        anna(node, "people") as chromium,
        Caller.joined(node, "people", "Sdk") as sdk,
        ben(node, "people") as firefox,
    ):
        await chromium.join("people")
        await sdk.publish_tone(1300)
        await heard_tone(chromium.page, 1300)
        await firefox.join("people", camera=False)
        await heard_tone(firefox.page, 1300)
        await firefox.hears(chromium)
        await firefox.sees(chromium)
        await chromium.hears(firefox)
        for visitor in (chromium, firefox):
            await visitor.counts(3)
            await visitor.picture("third")

        await chromium.page.click("mic-toggle")
        await firefox.finds(f'{tile(chromium.name)}[data-mic="off"]')
        await firefox.hears_no_more(chromium)
        await firefox.picture("muted")
        await chromium.page.click("mic-toggle")
        await firefox.finds(f'{tile(chromium.name)}[data-mic="on"]')
        await firefox.hears(chromium)

        await firefox.page.click("leave")
        await firefox.finds('[data-testid="ended"]')
        await chromium.counts(2)
        await chromium.misses(tile(firefox.name))

        came = len(sdk.happened("participant_connected"))
        await chromium.page.reload()
        await chromium.is_in_the_call()
        await heard_tone(chromium.page, 1300)
        await sdk.until(
            lambda: (
                len(sdk.happened("participant_connected")) > came
                and len(sdk.room.remote_participants) == 1
            ),
            "the reloaded page did not come back alone",
        )
        (identity,) = sdk.room.remote_participants
        await sdk.hears(identity, chromium.hz)
        await chromium.counts(2)


@pytest.mark.skipif("CONCLAVE_README_SCREENSHOT" not in os.environ, reason="only when asked for")
async def test_a_picture_for_the_readme(node: Node) -> None:
    async with (
        anna(node, "readme", LARGE) as chromium,
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


def anna(node: Node, run: str, size: tuple[int, int] = SMALL) -> Launched:
    return Visitor.launched(
        "chromium", node, "Anna", hz=700, pattern=Pattern(123), run=run, size=size
    )


def ben(node: Node, run: str) -> Launched:
    return Visitor.launched("firefox", node, "Ben", hz=1100, pattern=Pattern(0), run=run)


def cleo(node: Node, run: str) -> Launched:
    return Visitor.launched("chromium", node, "Cleo", hz=1500, pattern=Pattern(456), run=run)


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
