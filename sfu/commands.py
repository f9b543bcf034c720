"""What we tell the relay, as values; `sfu.worker` turns them into the extension's own.

Each mirrors the class of the same name in `sfu/_relay.pyi`, where the fields are explained. Every
command is absolute and carries all it needs. Numbers are ours, 64 bits, never used twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPeer:
    peer: int
    ufrag: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRemoteIce:
    peer: int
    ufrag: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartIce:
    peer: int
    ufrag: str = field(repr=False)
    password: str = field(repr=False)
    remote_ufrag: str = field(repr=False)
    remote_password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallKeys:
    peer: int
    profile: str
    local_key: bytes = field(repr=False)
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    remote_salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPipe:
    peer: int
    local: str
    remote: tuple[str, int]
    profile: str
    local_key: bytes = field(repr=False)
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    remote_salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePeer:
    peer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNotAfter:
    peer: int
    seconds_from_now: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTrack:
    track: int
    peer: int
    kind: str
    mid: str
    clock_rate: int
    formats: tuple[tuple[int, str], ...]  # (payload type, codec)
    extensions: tuple[tuple[int, str], ...]  # (id, URI)
    encodings: tuple[int | str | None, ...]  # SSRC, RID, or known by MID alone
    nack: bool = False
    repair_formats: tuple[tuple[int, int], ...] = ()  # (payload type, what it repairs)
    repair_streams: tuple[tuple[int, int], ...] = ()  # (media SSRC, retransmission SSRC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteTrack:
    track: int
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTrack:
    track: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDowntrack:
    downtrack: int
    peer: int
    track: int
    ssrc: int
    formats: tuple[tuple[int, str], ...]
    extensions: tuple[tuple[int, str], ...]
    cname: str
    nack: bool
    layer: int | None = None
    paused: bool = False
    frame_rate: int | None = None
    priority: int = 1
    stands: bool = False
    repair_ssrc: int | None = None
    repair_formats: tuple[tuple[int, int], ...] = ()
    only: int | None = None  # of a pipe: this encoding and no other


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDowntrack:
    downtrack: int
    layer: int | None
    paused: bool
    frame_rate: int | None = None
    priority: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchDowntrack:
    downtrack: int
    track: int | None
    formats: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDowntrack:
    downtrack: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDtls:
    peer: int
    datagrams: tuple[bytes, ...] = field(repr=False)


Command: TypeAlias = (
    OpenPeer
    | SetRemoteIce
    | RestartIce
    | InstallKeys
    | OpenPipe
    | ClosePeer
    | SetNotAfter
    | AddTrack
    | MuteTrack
    | RemoveTrack
    | AddDowntrack
    | SetDowntrack
    | SwitchDowntrack
    | RemoveDowntrack
    | SendDtls
)
