"""What the fake microphone and camera send: a pure tone, a picture that moves in a known way."""

import functools
import json
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import av
import numpy as np
from numpy.typing import NDArray

PRESENTATION = Path(__file__).parent / "presentation.html"
PRESENTATION_TITLE = "presentation"

SAMPLE_RATE = 48_000
LARGE, SMALL = (1280, 720), (640, 360)
FRAME_RATE = 30  # Chromium plays an MJPEG file at 30 frames a second, whatever it says
CYCLE_FRAMES = 60
CYCLE_SECONDS = CYCLE_FRAMES / FRAME_RATE

COLOURS: tuple[tuple[int, int, int], ...] = (
    (200, 30, 30),
    (30, 170, 40),
    (40, 60, 200),
    (200, 180, 20),
    (180, 40, 180),
    (30, 170, 180),
)
"""Digits 0 to 5 of the colour code: far apart after chroma subsampling, all darker than white."""

BLOCK_CENTRES: tuple[tuple[float, float], ...] = (
    (0.38, 0.5),
    (0.46, 0.5),
    (0.54, 0.5),
    (0.62, 0.5),
)
"""Middles of the four fields of the colour code, as parts of width and height."""

RING_RADIUS = (0.36, 0.34)
"""The bright square's way: an ellipse around the middle, as parts of width and height."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A moving picture that says who sent it: `code`, 0 to 1295, as four base-6 colour fields."""

    code: int

    def __post_init__(self) -> None:
        if not 0 <= self.code < len(COLOURS) ** len(BLOCK_CENTRES):
            raise ValueError(f"a colour code has four base-6 digits, {self.code} does not fit")

    @property
    def digits(self) -> tuple[int, ...]:
        base = len(COLOURS)
        return tuple(self.code // base**place % base for place in range(len(BLOCK_CENTRES)))


def presentation(pattern: Pattern, hz: int) -> str:
    """The address of a page that shows `pattern` all over its viewport and plays `hz`."""
    blocks = [
        (u, v, COLOURS[digit]) for (u, v), digit in zip(BLOCK_CENTRES, pattern.digits, strict=True)
    ]
    what = {"blocks": blocks, "ring": RING_RADIUS, "cycle": CYCLE_SECONDS, "hz": hz}
    return f"{PRESENTATION.as_uri()}#{quote(json.dumps(what))}"


def write_tone(path: Path, hz: int, *, seconds: int = 10, level: float = 0.4) -> None:
    """Write a mono 16-bit WAV of one sine; whole hertz over whole seconds loop without a click."""
    time = np.arange(SAMPLE_RATE * seconds) / SAMPLE_RATE
    samples = np.round(32767 * level * np.sin(2 * math.pi * hz * time)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())


def write_pattern(path: Path, pattern: Pattern, size: tuple[int, int] = LARGE) -> None:
    """Write one cycle of `pattern` as bare concatenated JPEGs, as Chromium reads and loops."""
    path.write_bytes(_jpegs(pattern, size))


@functools.cache
def _jpegs(pattern: Pattern, size: tuple[int, int]) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, FRAME_RATE)
    encoder.options = {"q:v": "3"}
    packets = []
    for number, picture in enumerate(frames(pattern, size)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame.reformat(format="yuvj420p"))
    packets += encoder.encode(None)
    return b"".join(map(bytes, packets))


def frames(pattern: Pattern, size: tuple[int, int] = LARGE) -> Iterator[NDArray[np.uint8]]:
    """Yield the cycle's frames as RGB pictures of height x width x 3."""
    width, height = size
    for number in range(CYCLE_FRAMES):
        picture = np.full((height, width, 3), 48, dtype=np.uint8)
        for digit, (u, v) in zip(pattern.digits, BLOCK_CENTRES, strict=True):
            _fill(picture, u, v, 0.08, 0.2, COLOURS[digit])
        angle = 2 * math.pi * number / CYCLE_FRAMES
        u = 0.5 + RING_RADIUS[0] * math.cos(angle)
        v = 0.5 + RING_RADIUS[1] * math.sin(angle)
        _fill(picture, u, v, 0.1, 0.18, (255, 255, 255))
        yield picture


def _fill(
    picture: NDArray[np.uint8],
    u: float,
    v: float,
    width: float,
    height: float,
    colour: tuple[int, int, int],
) -> None:
    rows, columns, _ = picture.shape
    left, right = round((u - width / 2) * columns), round((u + width / 2) * columns)
    top, bottom = round((v - height / 2) * rows), round((v + height / 2) * rows)
    picture[top:bottom, left:right] = colour
