"""Recognition at the receiver: was *this* tone heard, was *this* moving picture seen?

The page measures (`hear.js`, `watch.js`), here the measurements are judged.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.browser.driver import Page
from tests.browser.sources import BLOCK_CENTRES, COLOURS, CYCLE_SECONDS, RING_RADIUS, Pattern
from tests.patience import PATIENCE

HERE = Path(__file__).parent
HEARING_RATE = 16_000  # samples a second
FRAMES = 5  # different ones that show a motion
HEAR = (HERE / "hear.js").read_text()
WATCH = (HERE / "watch.js").read_text()


@dataclass(frozen=True, slots=True)
class Heard:
    """The spectrum of one audio element in short."""

    peak_hz: float
    """The strongest frequency between 50 Hz and 8 kHz; 0 for nothing at all."""
    share: float
    """The peak's part of all power in that band, 0 to 1."""
    level: float
    """Root mean square, 1 = full scale."""

    @classmethod
    def of(cls, samples: NDArray[np.float64]) -> Heard:
        if len(samples) < HEARING_RATE // 10 or not samples.any():
            return cls(0.0, 0.0, 0.0)
        power = np.abs(np.fft.rfft(samples * np.blackman(len(samples)))) ** 2
        hertz = np.fft.rfftfreq(len(samples), 1 / HEARING_RATE)
        power[hertz < 50] = 0.0
        peak = float(hertz[np.argmax(power)])
        near = np.abs(hertz - peak) <= 0.01 * peak + 10
        level = math.sqrt(float(np.mean(samples**2)))
        return cls(peak, float(power[near].sum() / power.sum()), level)

    @property
    def is_silence(self) -> bool:
        """Say whether nothing is left but what a codec makes of silence."""
        return self.level < 0.003

    def is_tone(self, hz: float) -> bool:
        """Say whether this is a clean tone of `hz`, to 1 %, and nothing much beside it."""
        return self.level > 0.01 and self.share > 0.7 and abs(self.peak_hz - hz) <= 0.01 * hz


@dataclass(frozen=True, slots=True)
class Spot:
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a video: times in seconds, colours as 0-255 RGB, places as parts of the frame."""

    time: float
    frame_time: float
    mean: tuple[float, ...]
    spot: Spot | None
    blocks: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one video element showed for a while."""

    identity: str
    """Whose tile it stands in, by the nearest `data-identity`; empty where there is none."""
    width: int
    height: int
    samples: tuple[Sample, ...] = field(repr=False)
    last: Sample | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "last", self.samples[-1] if self.samples else None)

    @property
    def advances(self) -> bool:
        """Say whether the element kept playing."""
        return len({sample.frame_time for sample in self.samples}) >= FRAMES

    def is_pattern(self, pattern: Pattern) -> bool:
        """Say whether this is `pattern`, in motion: its colours, its path, its speed, its sense."""
        looks = [sample for sample in self.samples if _digits(sample) == pattern.digits]
        return self.advances and len(looks) > 0.8 * len(self.samples) and _goes_round(looks)

    def is_firefox_camera(self) -> bool:
        """Say whether this is Firefox's fake camera, in motion.

        It draws one colour of constant luma whose (Cb, Cr) walks along the sides of the square
        from 16 to 240, one step a frame.
        """
        places = [_place_on_chroma_square(sample.mean) for sample in self.samples]
        known = [
            (sample.time, place)
            for sample, place in zip(self.samples, places, strict=True)
            if place is not None
        ]
        if not self.advances or len(known) <= 0.8 * len(self.samples):
            return False
        times = np.array([time for time, _ in known])
        walk = np.unwrap([place for _, place in known], period=_CHROMA_PERIOD)
        speed = abs(float(np.polyfit(times, walk, 1)[0]))
        return 3 <= speed <= 45  # 30 steps a second, fewer when the machine drops frames


async def heard_tone(
    page: Page, hz: float, selector: str = "audio", timeout: float = PATIENCE
) -> Heard:
    """Listen until an element that matches the CSS `selector` plays `hz`."""
    deadline = time.monotonic() + timeout
    while True:
        found = await hear(page, selector)
        for heard in found:
            if heard.is_tone(hz):
                return heard
        assert time.monotonic() < deadline, f"no {hz} Hz in {selector}, but {found}"


async def seen_picture(
    page: Page, judge: Callable[[Seen], bool], selector: str = "video", timeout: float = PATIENCE
) -> Seen:
    """Watch until `judge` recognises what an element that matches the CSS `selector` shows."""
    deadline = time.monotonic() + timeout
    while True:
        found = await watch(page, selector)
        for seen in found:
            if judge(seen):
                return seen
        assert time.monotonic() < deadline, f"not recognised in {selector}: {found}"


async def hear(page: Page, selector: str = "audio", seconds: float = 1.0) -> list[Heard]:
    """Listen to every element that matches the CSS `selector` and plays a stream."""
    found = await page.evaluate(HEAR, selector, seconds, HEARING_RATE, timeout=seconds + PATIENCE)
    # The first tenth is a codec's start.
    return [Heard.of(np.array(samples)[HEARING_RATE // 10 :]) for samples in found]


async def watch(
    page: Page, selector: str = "video", seconds: float = 1.5, most: float = 10.0
) -> list[Seen]:
    """Watch every element that matches the CSS `selector` and plays a stream for so many seconds,
    up to the `most` where a busy machine has not shown enough frames yet.
    """
    centres = [list(centre) for centre in BLOCK_CENTRES]
    found = await page.evaluate(
        WATCH, selector, seconds, most, FRAMES, 60, centres, timeout=most + PATIENCE
    )
    return [
        Seen(
            identity=item["identity"],
            width=item["width"],
            height=item["height"],
            samples=tuple(_sample(sample) for sample in item["samples"]),
        )
        for item in found
    ]


def _sample(item: dict[str, object]) -> Sample:
    spot = item["spot"]
    time, frame_time, mean, blocks = (item[k] for k in ("time", "frame_time", "mean", "blocks"))
    assert isinstance(time, int | float)
    assert isinstance(frame_time, int | float)
    assert isinstance(mean, list)
    assert isinstance(blocks, list)
    return Sample(
        time=time / 1000,
        frame_time=float(frame_time),
        mean=tuple(mean),
        spot=Spot(**spot) if isinstance(spot, dict) else None,
        blocks=tuple(tuple(block) for block in blocks),
    )


def _digits(sample: Sample) -> tuple[int, ...]:
    palette = np.array(COLOURS, dtype=float)
    return tuple(
        int(np.argmin(np.linalg.norm(palette - np.array(block), axis=1))) for block in sample.blocks
    )


def _goes_round(looks: list[Sample]) -> bool:
    """Say whether the bright square runs along the ring, the right way, at the right speed."""
    times: list[float] = []
    angles: list[float] = []
    for look in looks:
        if look.spot is None or not 0.005 < look.spot.size < 0.04:
            continue
        x = (look.spot.x - 0.5) / RING_RADIUS[0]
        y = (look.spot.y - 0.5) / RING_RADIUS[1]
        if 0.85 < math.hypot(x, y) < 1.15:
            times.append(look.time)
            angles.append(math.atan2(y, x))
    if len(angles) <= 0.8 * len(looks) or len(angles) < FRAMES:
        return False
    turns_per_second = float(np.polyfit(times, np.unwrap(angles), 1)[0]) / (2 * math.pi)
    return 0.2 < turns_per_second * CYCLE_SECONDS < 1.3  # a busy machine shows fewer frames


def _chroma_walk() -> NDArray[np.float64]:
    """The colours of Firefox's fake camera as displayed, one a step along the square's sides."""
    low, high = 16, 240
    up, down = np.arange(low, high), np.arange(high, low, -1)
    cb = np.concatenate([up, np.full(len(up), high), down, np.full(len(up), low)]) - 128.0
    cr = np.concatenate([np.full(len(up), low), up, np.full(len(up), high), down]) - 128.0
    luma = 1.164 * (128 - 16)
    rgb = (luma + 1.596 * cr, luma - 0.391 * cb - 0.813 * cr, luma + 2.018 * cb)  # BT.601
    return np.clip(np.stack(rgb, axis=1), 0, 255)


_CHROMA_WALK = _chroma_walk()
_CHROMA_PERIOD = len(_CHROMA_WALK)


_CHROMA_TOLERANCE = 40  # of 255 in RGB: what an encoder and another colour matrix may do


def _place_on_chroma_square(rgb: tuple[float, ...]) -> float | None:
    distances = np.linalg.norm(_CHROMA_WALK - np.array(rgb), axis=1)
    nearest = int(np.argmin(distances))
    return float(nearest) if distances[nearest] < _CHROMA_TOLERANCE else None
