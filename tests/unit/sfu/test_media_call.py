"""A call through the real relay on loopback: aiortc publishes a tone, another aiortc hears it.

aiortc is an independent stack here: its own ICE (aioice), SRTP (libsrtp), SCTP and Opus.
"""

from __future__ import annotations

import asyncio
import fractions
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame

from sfu.crypto_policy import STANDARD, CryptoPolicy
from sfu.events import Channel
from sfu.media import MediaPlane
from sfu.negotiation import Announced
from sfu.options import MediaOptions
from sfu.peer import Peer, Role
from tests.patience import PATIENCE
from tests.unit.sfu.fake_relay import Heard

RATE = 48_000
SAMPLES = 960  # 20 ms
TONE = 440.0  # Hz

POLICIES = [replace(STANDARD, srtp_profiles=(profile,)) for profile in STANDARD.srtp_profiles]


class Tone(MediaStreamTrack):
    """A sine that plays in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._position = 0

    async def recv(self) -> AudioFrame:
        if self._position:
            await asyncio.sleep(SAMPLES / RATE)
        at = (np.arange(SAMPLES) + self._position) / RATE
        samples = (np.sin(2 * np.pi * TONE * at) * 12_000).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._position
        frame.time_base = fractions.Fraction(1, RATE)
        self._position += SAMPLES
        return frame


class Person:
    """A client and its peer."""

    def __init__(self, plane: MediaPlane, role: Role = Role.SINGLE) -> None:
        self.heard = Heard()
        self.peer: Peer = plane.open_peer(role, self.heard)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def negotiate(self, announced: list[Announced]) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answered = self.peer.answer(self.pc.localDescription.sdp, announced)
        await self.pc.setRemoteDescription(RTCSessionDescription(answered.sdp, "answer"))

    async def take_offer(self) -> None:
        """The other way round, as the subscriber's transport has it."""
        offered = self.peer.offer()
        await self.pc.setRemoteDescription(RTCSessionDescription(offered, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        self.peer.accept_answer(self.pc.localDescription.sdp)

    async def close(self) -> None:
        await self.pc.close()
        self.peer.close()


@pytest.fixture(params=POLICIES, ids=lambda policy: policy.srtp_profiles[0].iana)
async def plane(request: pytest.FixtureRequest) -> AsyncIterator[MediaPlane]:
    policy: CryptoPolicy = request.param
    options = MediaOptions(binds=("127.0.0.1",), port=0, policy=policy)
    plane = MediaPlane(options, clock=time.monotonic, entropy=os.urandom)
    await plane.start()
    yield plane
    await plane.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for real sockets and real threads, 10 s at most."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about")


async def runs_dry(track: MediaStreamTrack) -> bool:
    """Whether a track goes silent: nothing for a second, after what was on its way."""
    for _ in range(200):
        try:
            await asyncio.wait_for(track.recv(), 1)
        except TimeoutError:
            return True
    return False


async def record(track: MediaStreamTrack, frames: int) -> list[AudioFrame]:
    recorded = []
    for _ in range(frames):
        frame = await asyncio.wait_for(track.recv(), PATIENCE)
        assert isinstance(frame, AudioFrame)
        recorded.append(frame)
    return recorded


def loudest_frequency(frames: list[AudioFrame]) -> float:
    """In Hz, of interleaved stereo."""
    mono = np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in frames])
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    return float(np.argmax(spectrum) * RATE / len(mono))


async def test_a_tone_is_heard_and_messages_arrive(plane: MediaPlane) -> None:
    alice, bob = Person(plane), Person(plane)
    try:
        alice.pc.addTrack(Tone())
        await alice.negotiate([Announced("TR_tone", "any", "audio")])
        await until(lambda: alice.heard.connected)
        assert alice.peer.report().facts is not None

        received: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        bob.pc.on("track", received.put_nowait)
        bob.pc.addTransceiver("audio", direction="recvonly")
        reliable = bob.pc.createDataChannel("_reliable")
        bob.pc.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
        said = listen(reliable)
        bob.peer.subscribe("TR_tone", "PA_alice|TR_tone")
        await bob.negotiate([])
        await until(lambda: bob.heard.connected)

        track = await asyncio.wait_for(received.get(), PATIENCE)
        frames = await record(track, 100)
        assert abs(loudest_frequency(frames[-50:]) - TONE) < 3

        await until(lambda: bob.heard.channels_open)
        reliable.send(b"to the server")
        await until(lambda: bob.heard.data)
        assert bob.heard.data == [(Channel.RELIABLE, b"to the server")]
        assert bob.peer.send_data(Channel.RELIABLE, b"to the client")
        await until(lambda: said)
        assert said == [b"to the client"]

        alice.peer.close()
        await until(lambda: plane.counters().tracks == 0)
        assert bob.heard.failures == []
        assert plane.counters().handshakes == {"connected": 2}
    finally:
        await alice.close()
        await bob.close()


def listen(channel: RTCDataChannel) -> list[bytes]:
    said: list[bytes] = []
    channel.on("message", said.append)
    return said


async def test_a_muted_track_is_silent_at_the_relay(plane: MediaPlane) -> None:
    alice, bob = Person(plane), Person(plane)
    try:
        alice.pc.addTrack(Tone())
        await alice.negotiate([Announced("TR_tone", "any", "audio")])
        received: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        bob.pc.on("track", received.put_nowait)
        bob.pc.addTransceiver("audio", direction="recvonly")
        bob.peer.subscribe("TR_tone", "PA_alice|TR_tone")
        await bob.negotiate([])
        track = await asyncio.wait_for(received.get(), PATIENCE)
        await asyncio.wait_for(track.recv(), PATIENCE)
        alice.peer.set_muted("TR_tone", True)
        assert await runs_dry(track)
        alice.peer.set_muted("TR_tone", False)
        await asyncio.wait_for(track.recv(), PATIENCE)
    finally:
        await alice.close()
        await bob.close()


async def test_two_transports_a_person_one_each_way(plane: MediaPlane) -> None:
    alice, bob = Person(plane, Role.PUBLISHER), Person(plane, Role.SUBSCRIBER)
    try:
        received: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        bob.pc.on("track", received.put_nowait)
        said: list[bytes] = []
        bob.pc.on("datachannel", lambda channel: channel.on("message", said.append))
        await bob.take_offer()  # before there is anything to hear: the data channels alone
        await until(lambda: bob.heard.channels_open)

        alice.pc.addTrack(Tone())
        await alice.negotiate([Announced("TR_tone", "any", "audio")])
        bob.peer.subscribe("TR_tone", "PA_alice|TR_tone")
        assert bob.peer.needs_negotiation()
        await bob.take_offer()
        track = await asyncio.wait_for(received.get(), PATIENCE)
        assert abs(loudest_frequency((await record(track, 100))[-50:]) - TONE) < 3
        assert bob.peer.send_data(Channel.LOSSY, b"news")
        await until(lambda: said)
        assert said == [b"news"]
    finally:
        await alice.close()
        await bob.close()
