"""aiortc as a WHIP publisher and a WHEP viewer: a client of its own, with full ICE by aioice."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import av
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av.frame import Frame

from tests.interop.signals import NUMBERS, RATE, STEP, Sight, look, paint, peak_hz, tone
from tests.node import Node
from tests.patience import PATIENCE

FRAMES_PER_SECOND = 15
_PTIME = RATE // 50  # samples of 20 ms, as Opus is sent


@dataclass
class Resource:
    """One session at either door; it ends with the block of `opened`."""

    http: httpx.AsyncClient
    url: str
    tag: str
    token: str = field(repr=False)

    async def patch(self, fragment: str, if_match: str | None) -> httpx.Response:
        headers = {"Content-Type": "application/trickle-ice-sdpfrag"}
        if if_match is not None:
            headers["If-Match"] = if_match
        return await self.http.patch(self.url, content=fragment, headers=headers)

    async def delete(self) -> httpx.Response:
        return await self.http.delete(self.url)


@asynccontextmanager
async def posted(
    node: Node, path: str, token: str, connection: RTCPeerConnection
) -> AsyncIterator[Resource]:
    """Offer what `connection` has, take the answer, and DELETE in the end."""
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(verify=node.tls, headers=headers, timeout=PATIENCE) as http:
        answer = await http.post(
            node.origin + path,
            content=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        assert answer.status_code == 201, answer.text
        url = urljoin(node.origin, answer.headers["Location"])
        try:
            await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            yield Resource(http, url, answer.headers["ETag"], token)
        finally:
            await connection.close()
            with contextlib.suppress(httpx.TransportError):  # a node that was stopped
                await http.delete(url)


@asynccontextmanager
async def publisher(
    node: Node, room: str, token: str, *, hertz: float, painter: int, query: str = ""
) -> AsyncIterator[tuple[Resource, RTCPeerConnection]]:
    """A sine and a moving picture of 320 by 180, published by WHIP."""
    connection = RTCPeerConnection()
    connection.addTrack(_Tone(hertz))
    connection.addTrack(_Picture(painter))
    async with posted(node, f"/whip/{room}{query}", token, connection) as resource:
        await connected(connection)
        yield resource, connection


@dataclass
class Viewer:
    """What arrives by WHEP."""

    resource: Resource
    connection: RTCPeerConnection
    tracks: Mapping[str, MediaStreamTrack]

    async def hears(self, hertz: float, *, seconds: float = 0.5) -> float:
        """Wait for that tone; the frequency as it was heard."""
        recent = np.zeros(0, np.int16)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        peak = -1.0
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    frame = await self.tracks["audio"].recv()
                    assert isinstance(frame, av.AudioFrame)
                    for each in resampler.resample(frame):
                        recent = np.concatenate((recent, each.to_ndarray()[0]))
                    if len(recent) >= seconds * RATE:
                        peak, recent = peak_hz(recent), recent[:0]
                        if abs(peak - hertz) <= 2 / seconds:
                            return peak
        except (TimeoutError, MediaStreamError):
            raise AssertionError(f"{hertz} Hz was not heard, but {peak} Hz") from None

    async def sees(self, painter: int, size: tuple[int, int], *, frames: int = 10) -> list[Sight]:
        """Wait for so many pictures in a row of that painter, each newer than the last."""
        row: list[Sight] = []
        last: Sight | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                while len(row) < frames:
                    frame = await self.tracks["video"].recv()
                    assert isinstance(frame, av.VideoFrame)
                    last = look(frame.to_ndarray(format="gray").astype(np.uint8))
                    newer = not row or 0 < (last.number - row[-1].number) % NUMBERS < NUMBERS / 2
                    right = (last.width, last.height) == size and last.painter == painter
                    row = [*row, last] if newer and right and last.whole else []
        except (TimeoutError, MediaStreamError):
            raise AssertionError(f"painter {painter} at {size} was not seen, but {last}") from None
        return row


@asynccontextmanager
async def viewer(node: Node, room: str, token: str, query: str = "") -> AsyncIterator[Viewer]:
    """Somebody who receives one sound and one picture by WHEP."""
    connection = RTCPeerConnection()
    transceivers = [
        connection.addTransceiver(kind, direction="recvonly") for kind in ("audio", "video")
    ]
    async with posted(node, f"/whep/{room}{query}", token, connection) as resource:
        await connected(connection)
        tracks = {each.receiver.track.kind: each.receiver.track for each in transceivers}
        yield Viewer(resource, connection, tracks)


async def connected(connection: RTCPeerConnection) -> None:
    """Wait for ICE and DTLS."""
    async with asyncio.timeout(PATIENCE):
        while connection.connectionState != "connected":
            assert connection.connectionState != "failed", "the connection failed"
            await asyncio.sleep(0.02)


class _Paced(MediaStreamTrack):
    """A track that gives one frame per tick of its clock."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate
        self._number = -1
        self._start = time.monotonic()

    async def recv(self) -> Frame:
        self._number += 1
        await asyncio.sleep(self._start + self._number / self._rate - time.monotonic())
        return self.frame(self._number)

    def frame(self, number: int) -> Frame:
        raise NotImplementedError


class _Tone(_Paced):
    kind = "audio"

    def __init__(self, hertz: float) -> None:
        super().__init__(RATE / _PTIME)
        self._hertz = hertz

    def frame(self, number: int) -> Frame:
        step, part = divmod(number, STEP // _PTIME)
        samples = tone(self._hertz, step)[part * _PTIME : (part + 1) * _PTIME]
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts, frame.time_base = number * _PTIME, fractions.Fraction(1, RATE)
        return frame


class _Picture(_Paced):
    kind = "video"

    def __init__(self, painter: int, width: int = 320, height: int = 180) -> None:
        super().__init__(FRAMES_PER_SECOND)
        self._painter, self._width, self._height = painter, width, height

    def frame(self, number: int) -> Frame:
        picture = paint(self._width, self._height, self._painter, number)
        rows = np.frombuffer(picture, np.uint8).reshape(self._height * 3 // 2, self._width)
        frame = av.VideoFrame.from_ndarray(rows, format="yuv420p")
        frame.pts = number * 90_000 // FRAMES_PER_SECOND
        frame.time_base = fractions.Fraction(1, 90_000)
        return frame


async def restart_ice(resource: Resource, connection: RTCPeerConnection) -> None:
    """A PATCH with new credentials, and checks under them from now on.

    aiortc has no restart of its own, so its agent is given the credentials by hand.
    """
    agent: Any = connection.getTransceivers()[0].sender.transport.transport._connection
    ufrag, password = f"new{len(resource.tag)}", "a-password-of-22-letters".replace("-", "+")
    fragment = f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n"
    answer = await resource.patch(fragment, "*")
    assert answer.status_code == 200, answer.text
    lines = dict(line[2:].split(":", 1) for line in answer.text.splitlines() if ":" in line)
    resource.tag = answer.headers["ETag"]
    agent._local_username, agent._local_password = ufrag, password
    agent.remote_username, agent.remote_password = lines["ice-ufrag"], lines["ice-pwd"]
