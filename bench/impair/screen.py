"""A page of text on a shared screen, beside a voice, over a narrow link: when is it readable?"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from bench.impair.networks import networks
from bench.impair.people import Person
from bench.impair.slides import Reader, address, right, slide
from bench.impair.venues import Server, venue
from bench.link.conditions import SECOND, Conditions, Schedule
from bench.link.running import Link, Told
from tests.browser.driver import Page

RATE: Final = 300e3  # bit/s
CONDITIONS: Final = Conditions(rate=RATE, delay=0.02, queue=0.2)  # those of the narrow step
TURNS: Final = 4
READING: Final = 12.0  # seconds between two turns, as of somebody who explains
PATIENCE: Final = 20.0  # seconds for the first page, which waits for the share to begin as well
LOOK: Final = 0.25  # seconds between two looks
VOICE_PATIENCE: Final = 15.0  # seconds until the voice is heard on the perfect network
SECONDS: Final = VOICE_PATIENCE / 3 + PATIENCE / 2 + TURNS * READING  # as a rule

# The frame that is shown, as it was decoded: its luma, 0 to 255, and its size.
_FRAME: Final = """(selector) => {
  const video = document.querySelector(selector);
  if (!video?.videoWidth) return null;
  const [width, height] = [video.videoWidth, video.videoHeight];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  let luma = "";
  for (let at = 0; at < data.length; at += 4 * width) {
    const row = new Uint8Array(width);
    for (let x = 0; x < width; x++) {
      const pixel = at + 4 * x;
      row[x] = (77 * data[pixel] + 150 * data[pixel + 1] + 29 * data[pixel + 2]) >> 8;
    }
    luma += String.fromCharCode(...row);
  }
  return { width, height, luma: btoa(luma) };
}"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of the share."""

    read_after: float | None
    """Seconds from its turn until every character was read; None for never."""
    best: float
    """The largest part of the characters that was read at once."""
    height: int
    """Of the picture in which that was."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A share that was watched over a narrow link."""

    rate: float
    leaves: tuple[Leaf, ...]
    """The first counts from the click that shares; the others from their turn."""
    concealed: float
    kbit: float
    """What the link delivered to the viewer, headers included."""
    lost: float
    sound: str
    """What the speaker's browser sends the voice as."""

    @property
    def whole(self) -> bool:
        """Whether every page was recognised whole."""
        return all(leaf.read_after is not None for leaf in self.leaves)

    def written(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def read(cls, given: dict[str, Any]) -> Shared:
        """From JSON."""
        leaves = tuple(Leaf(**leaf) for leaf in given["leaves"])
        return cls(**{**given, "leaves": leaves})


async def shared(server: Server, *, seed: str = "1") -> Shared:
    """One speaks and shares, the other watches behind 300 kbit/s. Needs root.

    Raises DriverError, LinkFailed, RuntimeError, AssertionError, TimeoutError (no voice).
    """
    async with (
        networks(seed) as joined,
        venue(server, joined) as place,
        place.person("publisher", joined.clean, "microphone") as speaker,
        place.person("subscriber", joined.behind, "nothing") as viewer,
    ):
        slides = await speaker.browser.open(address())
        reader = Reader.of(np.array(await slides.evaluate("() => window.symbols()")))
        await _voice(viewer)
        schedule = Schedule.always(CONDITIONS)
        before, heard = await joined.bad.told(), await viewer.received()
        await joined.bad.begin(up=schedule, down=schedule)
        leaves = await _leaves(speaker, viewer, slides, reader, seed)
        sound = await speaker.sound()
        return await _summed(joined.bad, viewer, before, heard, leaves, sound)


async def _voice(viewer: Person) -> None:
    """Wait until sound comes in."""
    deadline = time.monotonic() + VOICE_PATIENCE
    while not (await viewer.received()).get("totalSamplesReceived"):
        if time.monotonic() > deadline:
            raise TimeoutError("no voice on a clean network")
        await asyncio.sleep(0.5)


async def _leaves(
    speaker: Person, viewer: Person, slides: Page, reader: Reader, seed: str
) -> tuple[Leaf, ...]:
    async def turn(number: int) -> tuple[str, ...]:
        rows = slide(number, seed=seed)
        await slides.evaluate("(rows) => window.turn(rows)", rows)
        return rows

    rows = await turn(0)
    await speaker.page.show()
    clicked = time.monotonic()
    await speaker.page.click(speaker.site.share)
    there = "(css) => document.querySelector(css) !== null"
    await speaker.page.wait_for(there, speaker.site.is_sharing)
    await slides.show()
    found = [await _leaf(viewer, reader, rows, clicked, PATIENCE)]
    for number in range(1, TURNS + 1):
        turned = time.monotonic()
        rows = await turn(number)
        found.append(await _leaf(viewer, reader, rows, turned, READING))
        await asyncio.sleep(max(0.0, turned + READING - time.monotonic()))
    return tuple(found)


async def _leaf(
    viewer: Person, reader: Reader, rows: tuple[str, ...], turned: float, patience: float
) -> Leaf:
    best, height = 0.0, 0
    while (elapsed := time.monotonic() - turned) < patience:
        if frame := await viewer.page.evaluate(_FRAME, viewer.site.shared_screen):
            flat = np.frombuffer(base64.b64decode(frame["luma"]), dtype=np.uint8)
            picture = flat.reshape(frame["height"], frame["width"]).astype(float)
            if (part := right(await asyncio.to_thread(reader.read, picture), rows)) > best:
                best, height = part, int(frame["height"])
            if part == 1:
                return Leaf(elapsed, best, height)
        await asyncio.sleep(LOOK)
    return Leaf(None, best, height)


async def _summed(
    bad: Link,
    viewer: Person,
    before: Told,
    heard: dict[str, float],
    leaves: tuple[Leaf, ...],
    sound: str,
) -> Shared:
    after, now = await bad.told(), await viewer.received()
    samples, concealed = (
        now.get(name, 0) - heard.get(name, 0)
        for name in ("totalSamplesReceived", "concealedSamples")
    )
    offered = after.down.offered - before.down.offered
    dropped = after.down.lost + after.down.overflowed - before.down.lost - before.down.overflowed
    bits = (after.down.delivered_bytes - before.down.delivered_bytes) * 8
    return Shared(
        rate=RATE,
        leaves=leaves,
        concealed=concealed / samples if samples else 1.0,
        kbit=bits / ((after.at - before.at) / SECOND) / 1000,
        lost=dropped / offered if offered else 0.0,
        sound=sound,
    )
