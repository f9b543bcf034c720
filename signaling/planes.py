"""The two planes, built one upon the other: which adapter stands behind which port."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from signaling.calls.calls import Calls
from signaling.config import Settings
from signaling.domain.limits import Limits
from signaling.livekit.door import Door
from signaling.livekit.entrance import LiveKitDoor
from signaling.livekit.packets import stamp
from signaling.media import MediaSetup, open_media
from signaling.ports import (
    Audit,
    Authenticator,
    Clock,
    Entropy,
    MediaCounters,
    TransportReport,
)
from signaling.server.api import OwnTransports
from signaling.server.metrics import CallCounts
from signaling.whip.door import ResourceDoor
from signaling.whip.reception import WhipDoor


@dataclass(frozen=True, slots=True)
class Foundations:
    """What both planes are built on."""

    settings: Settings
    clock: Clock
    entropy: Entropy
    audit: Audit
    authenticator: Authenticator


@dataclass(frozen=True, slots=True)
class Planes:
    """The media and control planes, running; `close` ends the media plane."""

    door: Door
    resources: ResourceDoor
    transports: OwnTransports
    media_counters: Callable[[], MediaCounters]
    call_counts: Callable[[], CallCounts]
    working: Callable[[], bool]
    close: Callable[[], Awaitable[None]]


Assemble = Callable[[Foundations], Awaitable[Planes]]


async def assemble(foundations: Foundations) -> Planes:
    """Open the media plane and build the control plane upon it; runs on the event loop.

    Raises OSError when a media port cannot be opened, UnreachableError when it could not be
    announced to anybody.
    """
    settings = foundations.settings
    media = await open_media(
        MediaSetup(
            binds=tuple(str(address) for address in settings.media.bind),
            port=settings.media.port,
            workers=settings.media.workers,
            spill_at=settings.media.spill_at,
            coalesce_us=settings.media.coalesce_us,
            advertise=tuple(str(address) for address in settings.media.advertise),
            interfaces=settings.media.interfaces,
            policy=settings.policy.value,
            suites=settings.media.suites,
            srtp_profiles=settings.media.srtp_profiles,
            max_handshakes=settings.limits.max_handshakes,
            max_peers=2 * settings.limits.max_participants,  # two transports on /rtc
        ),
        foundations.clock,
        foundations.entropy,
    )
    calls = Calls(
        media=media,
        clock=foundations.clock,
        entropy=foundations.entropy,
        audit=foundations.audit,
        stamp=stamp,
        later=asyncio.get_running_loop().call_later,
        limits=Limits(
            rooms=settings.limits.max_rooms,
            participants=settings.limits.max_participants,
            participants_per_room=settings.limits.max_participants_per_room,
        ),
    )
    door = LiveKitDoor(
        calls=calls, authenticator=foundations.authenticator, clock=foundations.clock
    )
    resources = WhipDoor(
        calls=calls,
        authenticator=foundations.authenticator,
        clock=foundations.clock,
        entropy=foundations.entropy,
    )
    return Planes(
        door=door,
        resources=resources,
        transports=_OwnTransports(calls),
        media_counters=media.counters,
        call_counts=lambda: _counts(calls, door, resources),
        working=lambda: media.working,
        close=media.close,
    )


class _OwnTransports:
    """`server.api.OwnTransports` from the calls."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def transports(self, room: str, identity: str) -> tuple[str, Sequence[TransportReport]] | None:
        sid = self._calls.participant_sid(identity, room)
        return None if sid is None else (sid, self._calls.transport_reports(identity, room))


def _counts(calls: Calls, door: LiveKitDoor, resources: WhipDoor) -> CallCounts:
    return CallCounts(
        rooms=calls.room_count,
        participants=calls.participant_count,
        resources=resources.counts(),
        unserved=Counter(door.tally.unserved),
    )
