"""People in Chromium on the product's page, each in a network of their own, and what they tell."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.impair.camera import restless_picture
from bench.loadgen.token import access_token
from tests.browser.driver import Browser, Page
from tests.faults.public_node import PORT

ROOM: Final = "impaired"
JOIN_PATIENCE: Final = 30.0  # seconds
VIEWER: Final = (1440, 900)  # a window whose tiles are worth the largest layer
CALLER: Final = (640, 480)  # drawing costs processor time that the encoder needs

# The page's own connections, for getStats; what it does is not changed.
_REMEMBER: Final = """() => {
  window.connections = new Set();
  const original = RTCPeerConnection.prototype.setLocalDescription;
  RTCPeerConnection.prototype.setLocalDescription = function (...args) {
    window.connections.add(this);
    return original.apply(this, args);
  };
}"""
_STATISTICS: Final = """async (types) => {
  const found = [];
  for (const connection of window.connections ?? []) {
    for (const one of (await connection.getStats()).values()) {
      if (types.includes(one.type)) found.push(one);
    }
  }
  return found;
}"""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the call."""

    page: Page

    async def statistics(self, *types: str) -> list[dict[str, Any]]:
        """What the browser's getStats says of these types."""
        return list(await self.page.evaluate(_STATISTICS, list(types)))

    async def received(self) -> dict[str, float]:
        """Counters of picture and sound that come in, summed; no key for what is not there."""
        total: dict[str, float] = {}
        for stream in await self.statistics("inbound-rtp"):
            for name in _RECEIVED[stream["kind"]]:
                total[name] = total.get(name, 0) + stream.get(name, 0)
        return total

    async def limited(self) -> str:
        """Why the browser sends less than it could: `cpu` before `bandwidth`, or nothing."""
        sent = await self.statistics("outbound-rtp")
        reasons = {stream.get("qualityLimitationReason") for stream in sent}
        return next((reason for reason in ("cpu", "bandwidth") if reason in reasons), "")

    async def is_in_the_call(self) -> bool:
        """Whether the page still shows it."""
        source = """() => document.querySelector('[data-testid="participant-tile"]') !== null"""
        return bool(await self.page.evaluate(source))


_RECEIVED: Final = {
    "video": ("framesDecoded", "frameHeight", "freezeCount", "totalFreezesDuration"),
    "audio": ("concealedSamples", "totalSamplesReceived"),
}


@asynccontextmanager
async def person(
    name: str, address: str, secret: str, *, inside: Sequence[str], devices: bool
) -> AsyncIterator[Person]:
    """Somebody who has joined, with camera and microphone or without. Raises DriverError."""
    token = access_token("APItest", secret, ROOM, name)
    async with AsyncExitStack() as stack:
        camera = None
        if devices:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="conclave-impair-"))
            camera = Path(folder) / "camera.mjpeg"
            await asyncio.to_thread(lambda: camera.write_bytes(restless_picture()))
        browser = await stack.enter_async_context(
            Browser.launch("chromium", tone_hz=440, camera=camera, inside=inside)
        )
        width, height = CALLER if devices else VIEWER
        url = f"https://{address}:{PORT}/?audio=raw#token={token}"
        page = await browser.open(url, width=width, height=height)
        await page.evaluate(_REMEMBER)
        await page.wait_for_element("join-button")
        if not devices:
            await page.click("join-microphone")
            await page.click("join-camera")
        await page.click("join-button")
        await page.wait_for_element("participant-tile", JOIN_PATIENCE)
        yield Person(page)
