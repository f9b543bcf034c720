"""What the client programs play, and the recognition of what they kept: judged, not counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.browser.recognise import HEARING_RATE, Heard, Sample, Seen, Spot
from tests.browser.sources import BLOCK_CENTRES, FRAME_RATE, SAMPLE_RATE, Pattern, frames

WIDTH, HEIGHT = 640, 360
FRAMES_PER_SECOND = 15
OPUS_SAMPLES = SAMPLE_RATE // 50  # of one packet
LEVEL = 0.4

LISTEN_SECONDS = 1
WATCH_SECONDS = 2.0
LOOK = (160, 90)  # the size at which pictures are judged, as in watch.js
_WHITE = 200


def write_tone(path: Path, hz: int, *, seconds: int = 4) -> None:
    """Write a sine as Opus in Ogg, one packet of 20 ms to a page."""
    at = np.arange(SAMPLE_RATE * seconds) / SAMPLE_RATE
    samples = np.round(32767 * LEVEL * np.sin(2 * np.pi * hz * at)).astype(np.int16)
    with av.open(str(path), "w", format="ogg", options={"page_duration": "20000"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="stereo")
        for start in range(0, len(samples), OPUS_SAMPLES):
            part = samples[start : start + OPUS_SAMPLES]
            frame = av.AudioFrame.from_ndarray(part.repeat(2).reshape(1, -1), "s16", "stereo")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_pattern(path: Path, pattern: Pattern) -> None:
    """Write one cycle of `pattern` as VP8 in IVF, a key frame each second for who comes late."""
    options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
    with av.open(str(path), "w", format="ivf") as container:
        stream = container.add_stream("libvpx", rate=FRAMES_PER_SECOND, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 600_000
        stream.gop_size = FRAMES_PER_SECOND
        every = FRAME_RATE // FRAMES_PER_SECOND
        for number, picture in enumerate(list(frames(pattern))[::every]):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(frame.reformat(WIDTH, HEIGHT, format="yuv420p")))
        container.mux(stream.encode(None))


class NotReadable(AssertionError):
    """Nothing was kept, or no file that can be played, yet or at all."""


def is_tone_kept(folder: Path, hz: float) -> Heard:
    """Find a second of that tone in the folder's sound; raises AssertionError if there is none."""
    heard = [Heard.of(part) for part in _seconds(_sound(folder))]
    for each in heard:
        if each.is_tone(hz):
            return each
    raise AssertionError(f"no {hz} Hz in what was kept, but {heard}")


def is_picture_kept(folder: Path, judge: Callable[[Seen], bool]) -> Seen:
    """Find two seconds that `judge` recognises in the folder's pictures; raises AssertionError."""
    samples = _pictures(folder)
    seen = [
        Seen("", *LOOK, tuple(samples[start : _end(samples, start)]))
        for start in range(0, len(samples), FRAMES_PER_SECOND // 3)
    ]
    for each in seen:
        if judge(each):
            return each
    raise AssertionError(f"not recognised in {len(samples)} pictures: {[s.last for s in seen][:5]}")


@contextmanager
def _opened(folder: Path, kind: str) -> Iterator[av.container.InputContainer]:
    found = list(folder.glob(f"{kind}.*"))
    if not found:
        raise NotReadable(f"no {kind} was kept")
    try:
        with av.open(str(found[0])) as container:
            yield container
    except av.FFmpegError as error:
        raise NotReadable(f"what was kept of the {kind} is no file to play: {error}") from error


def _sound(folder: Path) -> NDArray[np.float64]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=HEARING_RATE)
    parts: list[NDArray[np.float64]] = [np.zeros(0)]
    with _opened(folder, "audio") as container:
        try:
            for frame in container.decode(audio=0):
                frame.pts = None  # a gap is no silence here: what was kept is judged
                parts += [each.to_ndarray()[0].astype(float) for each in resampler.resample(frame)]
        except av.FFmpegError:
            pass  # the last page may be torn: the program was told to go
    return np.concatenate(parts)


def _seconds(samples: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    size = LISTEN_SECONDS * HEARING_RATE
    return [samples[at : at + size] for at in range(0, len(samples) - size + 1, size // 2)]


def _pictures(folder: Path) -> list[Sample]:
    samples = []
    with _opened(folder, "video") as container:
        try:
            for frame in container.decode(video=0):
                if frame.time is not None:
                    picture = frame.reformat(*LOOK, format="rgb24").to_ndarray()
                    samples.append(sample(picture.astype(float), frame.time))
        except av.FFmpegError:
            pass  # as above
    return samples


def sample(picture: NDArray[np.float64], time: float) -> Sample:
    """Look at an RGB picture of 160x90 as `watch.js` does."""
    height, width = picture.shape[:2]
    rows, columns = np.nonzero((picture > _WHITE).all(axis=2))
    spot = None
    if len(rows):
        x, y = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
        spot = Spot(float(x), float(y), len(rows) / (width * height))
    blocks = tuple(tuple(picture[int(v * height), int(u * width)]) for u, v in BLOCK_CENTRES)
    return Sample(time, time, tuple(picture.mean(axis=(0, 1))), spot, blocks)


def _end(samples: list[Sample], start: int) -> int:
    limit = samples[start].time + WATCH_SECONDS
    return next(
        (at for at in range(start, len(samples)) if samples[at].time >= limit), len(samples)
    )
