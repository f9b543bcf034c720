"""What the fake camera shows: a picture that is worth every bit an encoder may spend on it.

The tests' plain pattern takes 200 kbit/s at 720p, and would never fill a cap of 2 Mbit/s.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Final

import av
import numpy as np

WIDTH, HEIGHT = 1280, 720
FRAMES: Final = 60  # Chromium loops the file, at 30 frames a second
GRAIN: Final = 8  # pixels: coarse enough to survive scaling to the smallest layer
RESTLESS: Final = (480, 320)  # width, height in pixels of the part that no frame predicts


@functools.cache
def restless_picture() -> bytes:
    """Concatenated JPEGs: a quiet room, and in its middle something new in every frame."""
    chances = np.random.default_rng(7)
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = WIDTH, HEIGHT
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"q:v": "4"}
    width, height = RESTLESS
    left, top = (WIDTH - width) // 2, (HEIGHT - height) // 2
    packets = []
    for number in range(FRAMES):
        picture = np.full((HEIGHT, WIDTH, 3), 60, dtype=np.uint8)
        grain = chances.integers(40, 216, (height // GRAIN, width // GRAIN, 1), dtype=np.uint8)
        large = grain.repeat(GRAIN, axis=0).repeat(GRAIN, axis=1)
        picture[top : top + height, left : left + width] = large
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame.reformat(format="yuvj420p"))
    packets += encoder.encode(None)
    return b"".join(map(bytes, packets))
