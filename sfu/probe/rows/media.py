"""With keys in place: what a server must not take as media, and what it must.

Each row sends honest packets first and last, so that silence at the far end says something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.lab import Lab
from sfu.probe.media import EVERY, Listener, Pair
from sfu.probe.row import Observation, Row, Untested, must

_FORWARDED: Final = "forwarded"
_DROPPED: Final = "dropped"
_OBEYED: Final = "obeyed"
_IGNORED: Final = "ignored"
_COPIES: Final = 3
_NEAR_THE_END: Final = 65_536 - 30
_ACROSS: Final = 80  # packets from there on
_HONEST_REQUESTS: Final = 12  # half a second apart: servers ask seldom, and busy ones late
_QUIET: Final = 1.0  # seconds without a key frame request before one is sent

Attack = Callable[[Pair], bytes]
"""Sends something; the marker that must not come through."""


def _forged(attack: Attack) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with Pair.met(lab) as pair:
            await pair.until_heard()
            marker = attack(pair)
            await pair.barrier()
            return _what_became_of(pair.listener, marker, allowed=0)

    return run


def _what_became_of(listener: Listener, marker: bytes, *, allowed: int) -> Observation:
    times = listener.heard[marker]
    if times > allowed:
        return Observation(_FORWARDED, f"{times} times")
    return Observation(_DROPPED)


def _plaintext(pair: Pair) -> bytes:
    packet, marker = pair.speaker.packet()
    for _ in range(_COPIES):
        pair.sender.path.send(packet)
    return marker


def _tampered(pair: Pair) -> bytes:
    packet, marker = pair.speaker.packet()
    sealed = pair.sending.outbound.protect(packet)
    pair.sender.path.send(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    return marker


def _others_key(pair: Pair) -> bytes:
    """From the sender's address and with its SSRC, sealed with what the listener seals with."""
    packet, marker = pair.speaker.packet()
    pair.sender.path.send(pair.receiving.outbound.protect(packet))
    return marker


def _unannounced(pair: Pair) -> bytes:
    packet, marker = pair.speaker.packet(ssrc=pair.speaker.track.ssrc ^ 0x55555555)
    pair.send(packet)
    return marker


async def _honest(lab: Lab) -> Observation:
    async with Pair.met(lab) as pair:
        try:
            await pair.until_heard()
        except Untested as why:
            return Observation(_DROPPED, str(why))
        return Observation(_FORWARDED)


async def _replay(lab: Lab) -> Observation:
    async with Pair.met(lab) as pair:
        await pair.until_heard()
        packet, marker = pair.speaker.packet()
        sealed = pair.sending.outbound.protect(packet)
        for _ in range(_COPIES):
            pair.sender.path.send(sealed)
            await pair.barrier()
        return _what_became_of(pair.listener, marker, allowed=1)


async def _roll_over(lab: Lab) -> Observation:
    """Across the end of the sequence numbers; the last packets tell."""
    async with Pair.met(lab, sequence=_NEAR_THE_END) as pair:
        await pair.until_heard()
        for _ in range(_ACROSS):
            pair.send(pair.speaker.packet()[0])
            await asyncio.sleep(EVERY / 2)
        packet, marker = pair.speaker.packet()
        pair.send(packet)
        if await pair.eventually(lambda: pair.listener.heard[marker] > 0):
            return Observation(_FORWARDED)
        return Observation(_DROPPED, "once the sequence number had begun again")


async def _before_keys(lab: Lab) -> Observation:
    async with Pair.met(lab, shake=False) as pair:
        packet, marker = pair.speaker.packet()
        for _ in range(_COPIES):
            pair.sender.path.send(packet)
            await asyncio.sleep(EVERY)
        await pair.eventually(lambda: pair.listener.heard[marker] > 0, within=0.5)
        await pair.shake()
        await pair.barrier()
        return _what_became_of(pair.listener, marker, allowed=0)


async def _control(lab: Lab) -> Observation:
    """Key frame requests: with a damaged tag, in plaintext, and at last an honest one."""
    async with Pair.met(lab, "video") as pair:
        await pair.until_heard()
        asked = Listener(pair.sender, pair.sending)
        await _quiet(pair, asked)
        before = asked.key_frames_wanted
        request = pair.key_frame_request()
        sealed = pair.receiving.outbound.protect_rtcp(request)
        damaged = sealed[:8] + bytes([sealed[8] ^ 1]) + sealed[9:]
        for forged in (damaged, request):
            pair.receiver.path.send(forged)
            await _speak(pair, asked, 0.4)
        obeyed = asked.key_frames_wanted > before
        if obeyed:
            return Observation(_OBEYED, "the sender was asked for a key frame")
        for _ in range(_HONEST_REQUESTS):
            pair.receiver.path.send(pair.receiving.outbound.protect_rtcp(request))
            await _speak(pair, asked, 0.5)
            if asked.key_frames_wanted > before:
                return Observation(_IGNORED)
        raise Untested("an honest key frame request had no effect either")


async def _quiet(pair: Pair, asked: Listener) -> None:
    """Until the server asks the sender for nothing any more."""
    for _ in range(5):
        before = asked.key_frames_wanted
        await _speak(pair, asked, _QUIET)
        if asked.key_frames_wanted == before:
            return
    raise Untested("the server asks for key frames without end")


async def _speak(pair: Pair, asked: Listener, seconds: float) -> None:
    for _ in range(int(seconds / EVERY)):
        pair.send(pair.speaker.packet()[0])
        await asyncio.sleep(EVERY)
        pair.listener.listen()
        asked.listen()


def _row(
    name: str,
    tried: str,
    clause: str,
    outcome: str,
    run: Callable[[Lab], Awaitable[Observation]],
) -> Row:
    return Row(f"media-{name}", tried, clause, must(outcome), run, peers=2, seconds=30)


ROWS: Final = (
    _row(
        "honest",
        "honest sound, to a second participant",
        "RFC 5764 section 3",
        _FORWARDED,
        _honest,
    ),
    _row(
        "plaintext",
        "RTP without SRTP, once there are keys",
        "RFC 8827 section 6.5",
        _DROPPED,
        _forged(_plaintext),
    ),
    _row(
        "tampered-tag",
        "a packet with one bit of its tag turned",
        "RFC 3711 section 3.3; RFC 7714 section 6",
        _DROPPED,
        _forged(_tampered),
    ),
    _row(
        "replay",
        "the same sealed packet three times",
        "RFC 3711 section 3.3.2",
        _DROPPED,
        _replay,
    ),
    _row(
        "key-of-another-peer",
        "a peer's SSRC and address, sealed with another peer's key",
        "RFC 3711 section 3.2.3; RFC 5764 section 3",
        _DROPPED,
        _forged(_others_key),
    ),
    _row(
        "ssrc-unannounced",
        "well sealed, with an SSRC that no description names",
        "RFC 8843 section 9.2; policy",
        _DROPPED,
        _forged(_unannounced),
    ),
    _row(
        "control-unauthenticated",
        "key frame requests with a damaged seal, and with none",
        "RFC 3711 section 3.4",
        _IGNORED,
        _control,
    ),
    _row(
        "roll-over",
        "sequence numbers that begin again at 0",
        "RFC 3711 section 3.3.1",
        _FORWARDED,
        _roll_over,
    ),
    _row(
        "before-handshake",
        "RTP from an address that was checked, before any handshake",
        "RFC 5764 section 5.1; RFC 8827 section 6.5",
        _DROPPED,
        _before_keys,
    ),
)
