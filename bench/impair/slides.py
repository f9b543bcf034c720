"""Pages of text for a shared screen, and reading them from the picture that arrived. Pure.

Reading is by comparison with how the sharing browser draws each character. It is no better than an
eye: a character that merely resembles its own more than the others does not count as read.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

SYMBOLS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no I, O, 0 and 1, which people mix up
COLUMNS, ROWS = 40, 14
WIDTH, HEIGHT = 1280, 720
CELL: Final = (30, 48)  # width, height in pixels
FONT: Final = "26px monospace"  # of a slide; a letter is a fortieth of the height
LEFT, TOP = (WIDTH - COLUMNS * CELL[0]) // 2, (HEIGHT - ROWS * CELL[1]) // 2
ALIKE: Final = 0.8
"""Correlation with the drawn character from which a cell counts as read."""
CLEARER: Final = 0.03
"""By how much it must be more alike than the next best character."""
UNREADABLE: Final = "?"
_PAGE: Final = Path(__file__).parent / "slide.html"

Picture = NDArray[np.floating]


def address() -> str:
    """Where the page is that shows slides."""
    what = {
        "width": WIDTH,
        "height": HEIGHT,
        "cell": CELL,
        "left": LEFT,
        "top": TOP,
        "font": FONT,
        "symbols": SYMBOLS,
    }
    return f"{_PAGE.as_uri()}#{quote(json.dumps(what))}"


def slide(number: int, *, seed: str) -> tuple[str, ...]:
    """The rows of the nth page: text that nobody can guess."""
    chances = random.Random(f"{seed}/{number}")
    return tuple("".join(chances.choices(SYMBOLS, k=COLUMNS)) for _ in range(ROWS))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads a page from its luma, by how each of SYMBOLS is drawn."""

    drawn: Picture
    """One cell for each symbol, flat: mean 0, length 1."""

    @classmethod
    def of(cls, luma: Picture) -> Reader:
        """From what the sharing page draws: luma of the cells, one after the other."""
        return cls(_normal(np.asarray(luma, dtype=float).reshape(len(SYMBOLS), -1)))

    def read(self, picture: Picture) -> tuple[str, ...]:
        """The rows of a page of any size; UNREADABLE for what cannot be told."""
        if picture.shape != (HEIGHT, WIDTH):
            picture = _resized(picture)
        page = picture[TOP : TOP + ROWS * CELL[1], LEFT : LEFT + COLUMNS * CELL[0]]
        cells = page.reshape(ROWS, CELL[1], COLUMNS, CELL[0]).swapaxes(1, 2)
        alike = _normal(cells.reshape(ROWS * COLUMNS, -1)) @ self.drawn.T
        best = alike.argmax(axis=1)
        second, first = np.partition(alike, -2, axis=1)[:, -2:].T
        clear = (first >= ALIKE) & (first - second >= CLEARER)
        text = "".join(
            SYMBOLS[one] if is_clear else UNREADABLE
            for one, is_clear in zip(best, clear, strict=True)
        )
        return tuple(text[at : at + COLUMNS] for at in range(0, len(text), COLUMNS))


def right(read: tuple[str, ...], shown: tuple[str, ...]) -> float:
    """The part of the characters that was read rightly; 1 is a page recognised whole."""
    pairs = zip("".join(read), "".join(shown), strict=True)
    return sum(a == b for a, b in pairs) / (ROWS * COLUMNS)


def _normal(cells: Picture) -> Picture:
    cells = cells - cells.mean(axis=1, keepdims=True)
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    normal: Picture = cells / np.maximum(length, 1e-6)
    return normal


def _resized(picture: Picture) -> Picture:
    """To the size of a page, smoothly, as a viewer enlarges a small picture."""
    for axis, size in enumerate((HEIGHT, WIDTH)):
        had = picture.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * had / size - 0.5, 0, had - 1)
        low = np.minimum(at.astype(int), had - 2)
        share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        picture = picture.take(low, axis) * (1 - share) + picture.take(low + 1, axis) * share
    return picture
