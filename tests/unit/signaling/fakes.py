"""A media plane without media, and the other ports, for tests of the control plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from signaling.domain.errors import Refusal
from signaling.domain.grants import Claims
from signaling.domain.viewing import View
from signaling.ports import (
    DataChannel,
    MediaCounters,
    MediaKind,
    MediaListener,
    Negotiated,
    OfferedSection,
    PeerEvents,
    PeerRole,
    PendingTrack,
    PublishedMedia,
    Sections,
    TransportReport,
)


class FakeClock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> float:
        return 1_700_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


WAYS_IN = ("recvonly", "sendrecv")


class FakeEntropy:
    """A counter, so that identifiers differ and runs do not."""

    def __init__(self) -> None:
        self._count = 0

    def token(self, size: int) -> bytes:
        self._count += 1
        return (self._count * 0x9E3779B97F4A7C15F39CC0605CEDC835).to_bytes(32, "big")[-size:]


class FakeAudit:
    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def record(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


class FakeAuthenticator:
    """A token is the name of claims that were laid down before."""

    def __init__(self) -> None:
        self.claims: dict[str, Claims] = {}

    def authenticate(self, token: str, now: float) -> Claims:
        try:
            return self.claims[token]
        except KeyError:
            raise Refusal("token_signature", "The token is not ours.", status=401) from None


def claims(identity: str = "ada", room: str = "garden", **fields: Any) -> Claims:
    return Claims(
        api_key="key",
        identity=identity,
        room=room,
        not_before=None,
        not_after=1_700_010_000.0,
        room_join=True,
        **fields,
    )


@dataclass
class FakePeer:
    """A transport whose SDP is one word per section, `mid:kind:direction[:cid]`.

    A `sendonly` section publishes the pending track of that cid, or the oldest of its kind; wanted
    tracks are bound to free `recvonly` sections in order.
    """

    role: PeerRole
    events: PeerEvents
    media: FakeMedia
    wanted: dict[str, str] = field(default_factory=dict)
    bound: dict[str, str] = field(default_factory=dict)  # mid -> track
    sections: dict[str, tuple[str, str]] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)  # mid -> track
    muted: dict[str, bool] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    sent: list[tuple[DataChannel, bytes]] = field(default_factory=list)
    offered: set[str] | None = None
    dirty: bool = False
    open_channels: bool = True
    not_after: float | None = None
    closed: bool = False

    def answer(self, offer_sdp: str, pending: Sequence[PendingTrack]) -> Negotiated:
        if offer_sdp == "garbage":
            raise Refusal("sdp_malformed", "The session description cannot be read.")
        published, unpublished = [], []
        waiting = list(pending)
        for word in offer_sdp.split():
            mid, kind, direction, *cid = word.split(":")
            self.sections[mid] = (kind, direction)
            if direction == "sendonly" and mid not in self.published:
                fits = [t for t in waiting if t.kind == kind and (not cid or t.cid == cid[0])]
                if fits:
                    waiting.remove(fits[0])
                    self.published[mid] = fits[0].track_id
                    self.media.kinds[fits[0].track_id] = MediaKind(kind)
                    mime = "audio/opus" if kind == "audio" else "video/VP8"
                    published.append(PublishedMedia(fits[0].track_id, mid, mime, 3))
            elif direction == "inactive" and mid in self.published:
                unpublished.append(self.published.pop(mid))
        self._bind()
        self.dirty = False
        return Negotiated(
            f"answer to {offer_sdp}", dict(self.bound), tuple(published), tuple(unpublished)
        )

    def offer(self) -> str:
        self.offered = set(self.wanted)
        return "offer " + " ".join(sorted(self.wanted))

    def accept_answer(self, answer_sdp: str) -> None:
        if answer_sdp == "garbage":
            raise Refusal("sdp_malformed", "The session description cannot be read.")

    def subscribe(self, track_id: str, stream_id: str) -> None:
        self.wanted[track_id] = stream_id
        self.dirty = True

    def unsubscribe(self, track_id: str) -> None:
        del self.wanted[track_id]
        self.bound = {mid: track for mid, track in self.bound.items() if track != track_id}
        self.dirty = True

    def choose(self, track_id: str, view: View) -> None:
        assert track_id in self.wanted
        self.views[track_id] = view

    def needs_negotiation(self) -> bool:
        if self.role is PeerRole.SUBSCRIBER:
            return self.offered != set(self.wanted)
        return self.dirty

    def missing_sections(self) -> Sections:
        lacking = {MediaKind.AUDIO: 0, MediaKind.VIDEO: 0}
        for track_id in self.wanted:
            if track_id not in self.bound.values():
                lacking[self.media.kinds[track_id]] += 1
        for kind in lacking:
            free = [
                m
                for m, s in self.sections.items()
                if s == (kind, "recvonly") and m not in self.bound
            ]
            lacking[kind] = max(0, lacking[kind] - len(free))
        return Sections(lacking[MediaKind.AUDIO], lacking[MediaKind.VIDEO])

    def set_muted(self, track_id: str, muted: bool) -> None:
        self.muted[track_id] = muted

    def unpublish(self, track_id: str) -> None:
        raise AssertionError("nobody asks for this yet")

    def send_data(self, channel: DataChannel, payload: bytes) -> bool:
        if self.open_channels:
            self.sent.append((channel, payload))
        return self.open_channels

    def set_not_after(self, seconds: float | None) -> None:
        self.not_after = seconds

    def take_fragment(self, fragment: str) -> str | None:
        if fragment == "garbage":
            raise Refusal("fragment_malformed", "The fragment cannot be read.")
        return "our fragment" if fragment == "restart" else None

    def report(self) -> TransportReport:
        return TransportReport(self.role, "connected", "standard")

    def close(self) -> None:
        self.closed = True

    def _bind(self) -> None:
        for track_id in self.wanted:
            if track_id in self.bound.values():
                continue
            kind = self.media.kinds[track_id]
            for mid, section in self.sections.items():
                if section == (kind, "recvonly") and mid not in self.bound:
                    self.bound[mid] = track_id
                    break


class FakeMedia:
    def __init__(self) -> None:
        self.peers: list[FakePeer] = []
        self.kinds: dict[str, MediaKind] = {}
        self.listener: MediaListener | None = None
        self.full = False

    def listen(self, listener: MediaListener) -> None:
        self.listener = listener

    def read_offer(self, offer_sdp: str) -> tuple[OfferedSection, ...]:
        if offer_sdp == "garbage":
            raise Refusal("sdp_malformed", "The session description cannot be read.")
        found = []
        for word in offer_sdp.split():
            _, kind, direction, *cid = word.split(":")
            sends, receives = direction in ("sendonly", "sendrecv"), direction in WAYS_IN
            found.append(OfferedSection(MediaKind(kind), sends, receives, cid != ["alien"]))
        return tuple(found)

    def open_peer(self, role: PeerRole, events: PeerEvents, room: str) -> FakePeer:
        if self.full:
            raise Refusal("server_full", "The server is full.", status=503)
        peer = FakePeer(role, events, self)
        self.peers.append(peer)
        return peer

    def counters(self) -> MediaCounters:
        return MediaCounters()

    def open_count(self) -> int:
        return sum(not peer.closed for peer in self.peers)
