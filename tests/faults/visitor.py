"""Clients as a child process, to be run inside a network namespace: JSON in, JSON out.

    python -m tests.faults.visitor call  '{"url": …, "speaker": token, "listener": token, …}'
    python -m tests.faults.visitor look  '{…}'
    python -m tests.faults.visitor light '{…}'

`call` is the LiveKit SDK, its tone recognised at the receiver. `look` tells what the server
announces. `light` is the load generator's client beside that: its UDP socket is connected to the
announced address, so an answer that leaves from another one never reaches it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import ssl
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from livekit import rtc

from bench.loadgen.driver import Driver, Sender
from bench.loadgen.dtls import PROFILES, SUITES, Identity
from bench.loadgen.flights import Flights
from bench.loadgen.media import AUDIO_PACKET_RATE, Audio
from bench.loadgen.pacing import Pacer
from bench.loadgen.participant import Participant, Surroundings
from bench.loadgen.sdp import LocalSide, Section, offer, remote_side
from bench.loadgen.signalling import Reports, ServerAddress, Signalling
from tests.interop.signals import peak_hz
from tests.patience import PATIENCE

RATE = 48_000
STEP = RATE // 100  # samples of 10 ms

Visit = Mapping[str, Any]


async def call(visit: Visit) -> dict[str, Any]:
    """Speaker and listener through the SDK; the tone as it was heard."""
    speaker, listener = rtc.Room(), rtc.Room()
    heard: asyncio.Queue[rtc.Track] = asyncio.Queue()
    listener.on("track_subscribed", lambda track, *_: heard.put_nowait(track))
    for room, name in ((speaker, "speaker"), (listener, "listener")):
        await asyncio.wait_for(room.connect(visit["url"], visit[name]), PATIENCE)
    source = rtc.AudioSource(RATE, 1)
    microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    tone = rtc.LocalAudioTrack.create_audio_track("tone", source)
    await speaker.local_participant.publish_track(tone, microphone)
    singing = asyncio.create_task(_sing(source, visit["hertz"]))
    track = await asyncio.wait_for(heard.get(), PATIENCE)
    hertz = await asyncio.wait_for(_heard(track, visit["hertz"]), PATIENCE)
    singing.cancel()
    for room in (speaker, listener):
        await asyncio.wait_for(room.disconnect(), PATIENCE)
    return {"hertz": hertz}


async def _sing(source: rtc.AudioSource, hertz: float) -> None:
    for step in itertools.count():
        at = (np.arange(STEP) + step * STEP) / RATE
        wave = (np.sin(2 * np.pi * hertz * at) * 12_000).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(wave.tobytes(), RATE, 1, STEP))


async def _heard(track: rtc.Track, hertz: float) -> float:
    """The loudest frequency of the first half second in which it is that one."""
    samples = np.zeros(0, np.int16)
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
    try:
        async for event in stream:
            samples = np.concatenate([samples, np.frombuffer(event.frame.data, np.int16)])
            if len(samples) >= RATE // 2:
                peak, samples = peak_hz(samples), samples[:0]
                if abs(peak - hertz) < 3:
                    return peak
    finally:
        await stream.aclose()
    raise AssertionError("the track ended")


async def look(visit: Visit) -> dict[str, Any]:
    """The server's answer to one honest offer, and its candidates."""
    identity = Identity(PROFILES["gcm"], SUITES[0])
    description = await _description(_server(visit), identity, visit["speaker"])
    return {"description": description, "candidates": remote_side(description).addresses}


async def light(visit: Visit) -> dict[str, Any]:
    """What the server announces, and how a voice arrives there."""
    seen = await look(visit)
    server, identity = _server(visit), Identity(PROFILES["gcm"], SUITES[0])
    driver, flights = Driver(), Flights()
    world = Surroundings(server, identity, flights, visit.__getitem__, driver.attach)
    speaker, listener = Participant(world, "speaker"), Participant(world, "listener")
    await listener.listen(audio=1)
    source = Audio(secrets.randbits(32), flights.add_source())
    await speaker.publish("audio", source)
    assert speaker.transport is not None
    assert listener.transport is not None
    sender = Sender(speaker.transport, Pacer(AUDIO_PACKET_RATE, 1, time.monotonic_ns()))
    speaking = asyncio.create_task(driver.stroll([sender]))
    await asyncio.wait_for(listener.transport.first_media, PATIENCE)
    speaking.cancel()
    return seen | {
        "checked": listener.transport.checked,
        "damaged": listener.transport.damaged,
    }


def _server(visit: Visit) -> ServerAddress:
    trust = ssl.create_default_context(cafile=visit["authority"])
    return ServerAddress(visit["host"], visit["port"], trust)


async def _description(server: ServerAddress, identity: Identity, token: str) -> str:
    local = LocalSide(secrets.token_hex(4), secrets.token_hex(16), identity.fingerprint)
    answers: asyncio.Queue[str] = asyncio.Queue()
    session = await Signalling.open(
        server,
        token,
        offer(local, [Section("audio")], 1),
        False,
        Reports(lambda _, answer: answers.put_nowait(answer), _ignore, _ignore),
    )
    try:
        return await asyncio.wait_for(answers.get(), PATIENCE)
    finally:
        await session.close()


def _ignore(*_: object) -> None:
    pass


if __name__ == "__main__":
    play = {"call": call, "look": look, "light": light}[sys.argv[1]]
    print(json.dumps(asyncio.run(play(json.loads(sys.argv[2])))), flush=True)
    os._exit(0)  # as in tests/conftest.py: the SDK may abort an interpreter that is going
