"""aiortc as a participant: sends a tone and a moving pattern to a WHIP door, or keeps what a WHEP
door sends.
"""

from __future__ import annotations

import asyncio
import fractions
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiortc
import av
from aiortc import rtcdtlstransport
from aiortc.mediastreams import MediaStreamError
from OpenSSL import SSL

from tests.interop.stacks.door import Session, Wish, program, say

SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": b"ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": b"ECDHE-ECDSA-AES256-SHA",
}
PROFILES = {
    "AEAD_AES_128_GCM": rtcdtlstransport.SRTP_AEAD_AES_128_GCM,
    "AES128_CM_HMAC_SHA1_80": rtcdtlstransport.SRTP_AES128_CM_SHA1_80,
}
SIZE = (640, 360)  # of the pictures kept


async def participate(wish: Wish) -> None:
    """Stay for the wished time; raises what kept it from connecting."""
    if wish.suite is not None or wish.profile is not None:
        _offer_only(wish.suite, wish.profile)
    connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    failed = asyncio.Event()

    @connection.on("connectionstatechange")
    def tell() -> None:
        if connection.connectionState == "connected":
            _tell(connection)
        say(connection.connectionState)
        if connection.connectionState == "failed":
            failed.set()

    keeping: list[asyncio.Task[None]] = []
    if wish.sends:
        for kind, path in (("audio", wish.audio), ("video", wish.video)):
            connection.addTransceiver(_Loop(kind, path), direction="sendonly")
    else:

        @connection.on("track")
        def keep(track: aiortc.MediaStreamTrack) -> None:
            say("track", kind=track.kind)
            writing = _keep_sound if track.kind == "audio" else _keep_pictures
            keeping.append(asyncio.create_task(writing(track, wish.out)))

        for kind in ("audio", "video"):
            connection.addTransceiver(kind, direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    offer = connection.localDescription.sdp
    session = await asyncio.to_thread(Session.opened, wish.door, wish.token, offer)
    try:
        answer = aiortc.RTCSessionDescription(session.answer, "answer")
        await connection.setRemoteDescription(answer)
        await _stay(wish.seconds, failed)
    finally:
        await asyncio.to_thread(session.leave)
        await connection.close()
        await asyncio.gather(*keeping)


async def _stay(seconds: float, failed: asyncio.Event) -> None:
    told_to_go = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_go.set)
    waits = [asyncio.create_task(event.wait()) for event in (failed, told_to_go)]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if failed.is_set():
        raise ConnectionError("the transport failed")


def _offer_only(suite: str | None, profile: str | None) -> None:
    """aiortc has no settings for it; this is the context that it would make, narrowed."""
    certificates: Any = aiortc.RTCCertificate
    make = certificates._create_ssl_context

    def narrowed(certificate: Any, srtp_profiles: Any) -> SSL.Context:
        context: SSL.Context = make(certificate, srtp_profiles)
        if suite is not None:
            context.set_cipher_list(SUITES[suite])
        if profile is not None:
            context.set_tlsext_use_srtp(PROFILES[profile].openssl_profile)
        return context

    certificates._create_ssl_context = narrowed


def _tell(connection: aiortc.RTCPeerConnection) -> None:
    """Say what the transport negotiated, by the client's own OpenSSL."""
    transport: Any = connection.getTransceivers()[0].sender.transport
    suite, profile = transport._ssl.get_cipher_name(), transport._ssl.get_selected_srtp_profile()
    suites = {openssl.decode(): name for name, openssl in SUITES.items()}
    profiles = {each.openssl_profile: name for name, each in PROFILES.items()}
    say("negotiated", suite=suites.get(suite, suite), profile=profiles.get(profile, str(profile)))


class _Loop(aiortc.MediaStreamTrack):
    """A file, decoded once and played again and again at its own pace."""

    def __init__(self, kind: str, path: Path) -> None:
        super().__init__()
        self.kind = kind
        with av.open(str(path)) as container:
            self._frames: list[Any] = list(_frames(container, kind))
            self._step, self._base = _pace(container, kind)
        self._number = 0
        self._start = 0.0

    async def recv(self) -> Any:
        """The next frame, at its time."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        frame = self._frames[self._number % len(self._frames)]
        frame.pts, frame.time_base = self._number * self._step, self._base
        await asyncio.sleep(max(0.0, self._start + float(frame.pts * self._base) - now))
        self._number += 1
        return frame


def _frames(container: av.container.InputContainer, kind: str) -> Iterator[Any]:
    if kind == "video":
        yield from container.decode(video=0)
        return
    # As many samples a frame as aiortc's encoder takes: the decoder's first one is shorter.
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=48000, frame_size=960)
    for frame in container.decode(audio=0):
        yield from resampler.resample(frame)


def _pace(container: av.container.InputContainer, kind: str) -> tuple[int, fractions.Fraction]:
    if kind == "audio":
        return 960, fractions.Fraction(1, 48000)
    base = container.streams.video[0].time_base
    assert base is not None
    return 1, base


async def _keep_sound(track: aiortc.MediaStreamTrack, folder: Path) -> None:
    with av.open(str(folder / "audio.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        async for frame in _received(track):
            container.mux(stream.encode(frame))


async def _keep_pictures(track: aiortc.MediaStreamTrack, folder: Path) -> None:
    with av.open(str(folder / "video.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=30, width=SIZE[0], height=SIZE[1])
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.time_base = fractions.Fraction(1, 90000)
        async for frame in _received(track):
            container.mux(stream.encode(frame.reformat(*SIZE, format="yuvj420p")))
        container.mux(stream.encode(None))


async def _received(track: aiortc.MediaStreamTrack) -> Any:
    while True:
        try:
            yield await track.recv()
        except MediaStreamError:
            return


if __name__ == "__main__":
    program(lambda wish: asyncio.run(participate(wish)))
