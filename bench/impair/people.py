"""People in Chromium, each in a network of their own, and what their browsers tell of a call."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bench.impair.camera import restless_picture
from bench.impair.networks import Place
from tests.browser import connections
from tests.browser.driver import Browser, Page

Brings = Literal["camera", "microphone", "nothing"]
"""A camera comes with a microphone, and a microphone alone without a camera."""

VIEWER: Final = (1440, 900)  # a window whose tiles are worth the largest layer
SMALL: Final = (640, 480)  # drawing costs processor time that the encoder needs

_SOUND: Final = """() => {
  const found = new Set();
  for (const { remoteDescription } of window.connections ?? []) {
    for (const section of (remoteDescription?.sdp ?? "").split(/^m=/m).slice(1)) {
      if (!section.startsWith("audio ") || !/^a=recvonly/m.test(section)) continue;
      const [, , , first] = section.split(/\\s/, 4);
      found.add(section.match(new RegExp(`^a=rtpmap:${first} ([^/]+)`, "m"))?.[1] ?? "unknown");
    }
  }
  return [...found].sort();
}"""


@dataclass(frozen=True, slots=True)
class Site:
    """What has to be known of a page to use it, whichever server's it is."""

    in_the_call: str
    """A JavaScript function: whether it shows the call."""
    shared_screen: str
    """The CSS selector of the video that shows somebody's screen."""
    share: str
    """The `data-testid` of what starts sharing."""
    is_sharing: str
    """The CSS selector of what is there as soon as it does."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a camera's encoder makes now."""

    limited: str
    """Why it sends less than it could: `cpu` before `bandwidth`, or nothing."""
    smallest: int
    """Height of the smallest layer; 0 for none that is sent."""
    largest: int


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the call. `window.connections` of their page holds its RTCPeerConnections."""

    browser: Browser
    page: Page
    site: Site

    async def statistics(self, *types: str) -> list[dict[str, Any]]:
        """What the browser's getStats says of these types."""
        return await connections.statistics(self.page, *types)

    async def received(self) -> dict[str, float]:
        """Counters of picture and sound that come in, summed; no key for what is not there."""
        total: dict[str, float] = {}
        for stream in await self.statistics("inbound-rtp"):
            for name in _RECEIVED[stream["kind"]]:
                total[name] = total.get(name, 0) + stream.get(name, 0)
        return total

    async def sent(self) -> Sent:
        """What this person's encoder makes now."""
        return sent(await self.statistics("outbound-rtp"))

    async def sound(self) -> str:
        """What sound is sent as, `opus` or `red`: the first codec of each answer to this person.

        getStats does not tell: to it, redundancy is a part of Opus.
        """
        return ", ".join(await self.page.evaluate(_SOUND))

    async def is_in_the_call(self) -> bool:
        """Whether the page still shows it."""
        return bool(await self.page.evaluate(self.site.in_the_call))


_RECEIVED: Final = {
    "video": (
        "bytesReceived",
        "framesDecoded",
        "frameHeight",
        "freezeCount",
        "totalFreezesDuration",
    ),
    "audio": ("concealedSamples", "totalSamplesReceived"),
}


def sent(streams: list[dict[str, Any]]) -> Sent:
    """From `outbound-rtp`. Layers are known by livekit-client's names, smallest first."""
    reasons = {stream.get("qualityLimitationReason") for stream in streams}
    heights = {
        stream.get("rid"): int(stream.get("frameHeight", 0))
        for stream in streams
        if stream["kind"] == "video" and stream.get("framesPerSecond")
    }
    return Sent(
        limited=next((reason for reason in ("cpu", "bandwidth") if reason in reasons), ""),
        smallest=heights.get("q", 0),
        largest=heights.get("f", 0),
    )


@asynccontextmanager
async def chromium(
    place: Place, url: str, brings: Brings, window: tuple[int, int]
) -> AsyncIterator[tuple[Browser, Page]]:
    """A browser of its own at `place`, which has opened `url`. Raises DriverError."""
    async with AsyncExitStack() as stack:
        camera = None
        if brings == "camera":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="conclave-impair-"))
            camera = Path(folder) / "camera.mjpeg"
            await asyncio.to_thread(lambda: camera.write_bytes(restless_picture()))
        inside = place.host.command()
        browser = await stack.enter_async_context(
            Browser.launch("chromium", tone_hz=440, camera=camera, inside=inside)
        )
        yield browser, await browser.open(url, width=window[0], height=window[1])
