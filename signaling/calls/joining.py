"""What a newcomer asks for, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from signaling.domain.people import Client, Participant, RoomView
from signaling.ports import PeerRole


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a client asks for beside its token. `dual`: one transport for each direction; `only`: a
    single one that carries nothing the other way (PUBLISHER or VIEWER). Words about oneself count
    only with the right to change them.
    """

    room: str = ""
    dual: bool = False
    only: PeerRole | None = None
    auto_subscribe: bool = True
    client: Client = field(default_factory=Client)
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Welcome:
    """The room as a newcomer finds it."""

    room: RoomView
    participant: Participant
    others: tuple[Participant, ...]
