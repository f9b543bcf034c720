"""The ears and eyes of the matrix, without a call: what is played is recognised, nothing else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.browser.sources import Pattern
from tests.interop.stacks.media import is_picture_kept, is_tone_kept, write_pattern, write_tone

MINE, OTHERS = Pattern(321), Pattern(322)


def test_a_tone_is_recognised_and_no_other(tmp_path: Path) -> None:
    write_tone(tmp_path / "audio.ogg", 880)
    is_tone_kept(tmp_path, 880)
    for hz in (860, 440, 1760):
        with pytest.raises(AssertionError, match="in what was kept"):
            is_tone_kept(tmp_path, hz)


def test_a_pattern_is_recognised_and_no_other(tmp_path: Path) -> None:
    write_pattern(tmp_path / "video.ivf", MINE)
    is_picture_kept(tmp_path, lambda seen: seen.is_pattern(MINE))
    for wrong in (lambda seen: seen.is_pattern(OTHERS), lambda seen: seen.is_firefox_camera()):
        with pytest.raises(AssertionError, match="not recognised"):
            is_picture_kept(tmp_path, wrong)


def test_a_pattern_that_stands_still_is_not_recognised(tmp_path: Path) -> None:
    write_pattern(tmp_path / "moving.ivf", MINE)
    with av.open(str(tmp_path / "moving.ivf")) as container:
        (picture, *_) = container.decode(video=0)
    with av.open(str(tmp_path / "video.ivf"), "w") as container:
        stream = container.add_stream("libvpx", rate=15, options={"deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        for number in range(45):
            picture.pts, picture.time_base = number, Fraction(1, 15)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with pytest.raises(AssertionError, match="not recognised"):
        is_picture_kept(tmp_path, lambda seen: seen.is_pattern(MINE))


def test_what_is_torn_is_judged_by_what_is_left_and_what_is_absent_is_not(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no audio was kept"):
        is_tone_kept(tmp_path, 880)
    (tmp_path / "audio.ogg").touch()
    with pytest.raises(AssertionError, match="no file to play"):
        is_tone_kept(tmp_path, 880)
    write_tone(tmp_path / "whole", 880)
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "audio.ogg").write_bytes(whole[: len(whole) * 3 // 4])
    is_tone_kept(tmp_path, 880)
