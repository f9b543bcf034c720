"""A page of text is read from its picture, and only as well as an eye could."""

from __future__ import annotations

import numpy as np
import pytest

from bench.impair.slides import (
    CELL,
    COLUMNS,
    HEIGHT,
    LEFT,
    ROWS,
    SYMBOLS,
    TOP,
    UNREADABLE,
    WIDTH,
    Picture,
    Reader,
    right,
    slide,
)

DOT = 2  # pixels
CHANCES = np.random.default_rng(1)


def drawn() -> Picture:
    """A font of our own: each symbol a pattern of 7 times 9 dots, black on white."""
    cells = np.full((len(SYMBOLS), CELL[1], CELL[0]), 255.0)
    dots = CHANCES.random((len(SYMBOLS), 9, 7)) < 0.4
    cells[:, 14 : 14 + 9 * DOT, 8 : 8 + 7 * DOT][dots.repeat(DOT, 1).repeat(DOT, 2)] = 0
    return cells


FONT = drawn()
READER = Reader.of(FONT.ravel())


def shown(rows: tuple[str, ...]) -> Picture:
    picture = np.full((HEIGHT, WIDTH), 255.0)
    for y, row in enumerate(rows):
        for x, symbol in enumerate(row):
            top, left = TOP + y * CELL[1], LEFT + x * CELL[0]
            cell = FONT[SYMBOLS.index(symbol)]
            picture[top : top + CELL[1], left : left + CELL[0]] = cell
    return picture


def smaller(picture: Picture, times: int) -> Picture:
    """As a smaller layer is made: the mean of what falls together."""
    height, width = (size // times for size in picture.shape)
    made: Picture = picture.reshape(height, times, width, times).mean(axis=(1, 3))
    return made


PAGE = slide(3, seed="1")


def test_pages_are_the_same_with_the_same_seed_and_all_different() -> None:
    assert slide(3, seed="1") == PAGE
    assert len(PAGE) == ROWS
    assert {len(row) for row in PAGE} == {COLUMNS}
    assert right(slide(4, seed="1"), PAGE) < 0.1
    assert right(slide(3, seed="2"), PAGE) < 0.1


def test_a_clear_page_is_read_whole() -> None:
    assert READER.read(shown(PAGE)) == PAGE


def test_a_page_that_an_encoder_made_a_little_worse_is_read_whole() -> None:
    worse = shown(PAGE) * 0.8 + 20 + CHANCES.normal(0, 12, (HEIGHT, WIDTH))
    assert READER.read(worse) == PAGE


def test_a_page_before_the_turn_is_not_the_one_after() -> None:
    assert right(READER.read(shown(slide(2, seed="1"))), PAGE) < 0.1


def test_a_page_half_of_which_arrived_is_half_read() -> None:
    half = shown(PAGE)
    half[HEIGHT // 2 :] = 128
    read = READER.read(half)
    assert right(read, PAGE) == pytest.approx(0.5, abs=0.04)
    assert set(read[-1]) == {UNREADABLE}


def test_a_picture_too_small_for_its_text_is_not_read() -> None:
    assert right(READER.read(smaller(shown(PAGE), 2)), PAGE) > 0.9
    assert right(READER.read(smaller(shown(PAGE), 8)), PAGE) < 0.02


def test_noise_is_no_text() -> None:
    assert right(READER.read(CHANCES.normal(128, 60, (HEIGHT, WIDTH))), PAGE) < 0.01
