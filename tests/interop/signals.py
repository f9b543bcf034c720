"""What callers send and must be recognised by at the far end: tones, and pictures that move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE = 48_000  # samples per second
STEP = RATE // 10  # samples of 100 ms: each goes through the SDK as an event of its own

Samples = npt.NDArray[np.int16]
Luma = npt.NDArray[np.uint8]

_SILENCE = 100  # standard deviation of samples below which nothing is heard
_CELLS = 16  # across the top of a picture: four bits of a painter, twelve of a frame number
_DARK, _BRIGHT, _GREY = 40, 210, 128
NUMBERS = 1 << 12


def tone(hertz: float, step: int) -> Samples:
    """The `step`-th 100 ms of a sine."""
    at = (np.arange(STEP) + step * STEP) / RATE
    return (np.sin(2 * np.pi * hertz * at) * 12_000).astype(np.int16)


def peak_hz(samples: Samples) -> float:
    """The loudest frequency; 0 for silence."""
    if samples.std() < _SILENCE:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one picture shows. `whole` says that its two halves tell of the same moment."""

    width: int
    height: int
    painter: int  # 0 to 15
    number: int  # below NUMBERS, one more with each frame painted
    whole: bool


def paint(width: int, height: int, painter: int, number: int, *, noise: bool = False) -> bytes:
    """An I420 picture: who and which in cells across the top, below it a bar that moves. With
    `noise` it takes whatever bitrate it is given.
    """
    luma = np.full((height, width), _GREY, np.uint8)
    word = painter << 12 | number % NUMBERS
    for cell in range(_CELLS):
        bit = word >> (_CELLS - 1 - cell) & 1
        luma[: height // 4, _columns(width, cell)] = _BRIGHT if bit else _DARK
    luma[height // 4 :, _columns(width, number % _CELLS)] = _BRIGHT
    if noise:
        snow = np.random.default_rng(number).integers(0, 40, (height * 3 // 4, width), np.uint8)
        luma[height // 4 :] -= snow[: height - height // 4]
    return luma.tobytes() + bytes([128]) * (width * height // 2)


def look(luma: Luma) -> Sight:
    """Read a decoded picture."""
    height, width = luma.shape
    top = luma[height // 16 : height // 4 - height // 16]
    word = 0
    for cell in range(_CELLS):
        word = word << 1 | int(_middle(top, cell) > (_DARK + _BRIGHT) / 2)
    below = [_middle(luma[height // 3 :], cell) for cell in range(_CELLS)]
    number = word % NUMBERS
    whole = int(np.argmax(below)) == number % _CELLS and max(below) > (_GREY + _BRIGHT) / 2
    return Sight(width, height, painter=word >> 12, number=number, whole=whole)


def _columns(width: int, cell: int) -> slice:
    return slice(cell * width // _CELLS, (cell + 1) * width // _CELLS)


def _middle(rows: Luma, cell: int) -> float:
    """Mean brightness of a cell without its edges, which a codec smears."""
    columns = rows[:, _columns(rows.shape[1], cell)]
    margin = columns.shape[1] // 4
    return float(columns[:, margin:-margin].mean())
