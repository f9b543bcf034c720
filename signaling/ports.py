"""What the use cases need from the world, as protocols; adapters live elsewhere."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from signaling.domain.condition import Condition
from signaling.domain.grants import Claims
from signaling.domain.tracks import MediaKind as MediaKind
from signaling.domain.viewing import View


class Clock(Protocol):
    """The only source of time for the use cases."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Later(Protocol):
    """Calls back from the event loop; an asyncio loop's `call_later` is one."""

    def __call__(self, seconds: float, do: Callable[[], None], /) -> object: ...


class Entropy(Protocol):
    """The only source of randomness for the use cases."""

    def token(self, size: int) -> bytes:
        """`size` unpredictable bytes."""
        ...


class Authenticator(Protocol):
    """Turns a presented credential into verified claims."""

    def authenticate(self, token: str, now: float) -> Claims:
        """Verify `token` at Unix time `now`.

        Raises `signaling.domain.errors.Refusal` with status 401 and a code: `token_missing`,
        `token_malformed`, `token_algorithm`, `token_unknown_key`, `token_signature`,
        `token_expired`,
        `token_not_yet`, `token_too_long_lived`, `token_no_join`.
        """
        ...


class Audit(Protocol):
    """Structured events, written before the effect they announce."""

    def record(self, event: str, **fields: Any) -> None:
        """Write one event. Fields never hold names, tokens, addresses or keys."""
        ...


# --- Media -------------------------------------------------------------------------------------


class PeerRole(enum.StrEnum):
    """Which part of a participant's media one transport carries."""

    SINGLE = "single"  # /rtc/v1: the client offers, both directions
    PUBLISHER = "publisher"  # /rtc and WHIP: the client offers, towards us
    SUBSCRIBER = "subscriber"  # /rtc: we offer, towards the client
    VIEWER = "viewer"  # WHEP: the client offers, once, towards the client


class DataChannel(enum.StrEnum):
    """LiveKit's data channels, recognised by label."""

    RELIABLE = "_reliable"
    LOSSY = "_lossy"


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """A section for sound or picture in an offer, as its author sees the directions. `usable`: it
    is bundled, and something in it can be spoken here.
    """

    kind: MediaKind
    sends: bool
    receives: bool
    usable: bool


@dataclass(frozen=True, slots=True)
class PendingTrack:
    """A track that was announced (AddTrack) and waits for its media section, oldest first.

    `cid` is the client's MediaStreamTrack id; browsers other than Firefox repeat it in `a=msid`.
    `redundant`: its sound may be carried with redundancy (RFC 2198).
    """

    track_id: str
    cid: str
    kind: MediaKind
    redundant: bool = True


@dataclass(frozen=True, slots=True)
class PublishedMedia:
    """What an announced track turned out to be once its section was negotiated."""

    track_id: str
    mid: str
    mime_type: str  # of the preferred format, e.g. "video/VP8", "audio/opus"
    layers: int  # simulcast encodings accepted; 1 when single-stream


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The outcome of one client offer. `mid_to_track` is always the full downstream map."""

    sdp: str
    mid_to_track: Mapping[str, str]
    published: tuple[PublishedMedia, ...] = ()
    unpublished: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sections:
    """Receive-only media sections still to be added by the client, by kind."""

    audio: int = 0
    video: int = 0


@dataclass(frozen=True, slots=True)
class Fingerprint:
    algorithm: str  # "sha-256"
    value: str  # upper-case hex with colons


@dataclass(frozen=True, slots=True)
class TransportReport:
    """What one transport negotiated, as this server recorded it."""

    role: PeerRole
    state: str  # new, connecting, connected, failed, closed
    policy: str
    dtls_version: str | None = None  # "DTLS 1.2"
    cipher_suite: str | None = None  # IANA name
    group: str | None = None  # "X25519", "P-256", "P-384"
    signature: str | None = None  # of the server's key exchange, IANA SignatureScheme
    peer_signature: str | None = None  # of the client's proof that it holds its key
    extended_master_secret: bool | None = None
    srtp_profile: str | None = None  # "AEAD_AES_128_GCM" or "AES128_CM_HMAC_SHA1_80"
    local_fingerprint: Fingerprint | None = None
    remote_fingerprint: Fingerprint | None = None
    flights: int | None = None  # of the handshake; 4 when nothing was lost
    handshake_ms: float | None = None  # from the client's first datagram to its keys
    keyed_at: float | None = None  # Unix time at which the keys were installed
    failure: str | None = None  # stable code when failed


CONSENT_LOST: Final = "consent_lost"
"""The code of a transport whose client has not been heard for 30 seconds."""
TRANSPORT_CLOSED: Final = "transport_closed"
"""The failure code of a transport that the client closed politely."""
MEDIA_RESTARTED: Final = "media_restarted"
"""The failure code of a transport whose worker died; another works by then."""


class PeerEvents(Protocol):
    """What a transport tells its owner; called on the event loop, never re-entrantly from a call
    into the peer.
    """

    def on_connected(self) -> None:
        """DTLS is done, keys are installed."""
        ...

    def on_failed(self, code: str, sentence: str) -> None:
        """The transport cannot go on: handshake refused, consent lost, authority expired. Final."""
        ...

    def on_data(self, channel: DataChannel, payload: bytes) -> None:
        """One message on a data channel."""
        ...

    def on_channels_open(self) -> None:
        """Both the reliable and the lossy channel can carry data towards the client."""
        ...

    def on_withheld(self, track_id: str, withheld: bool) -> None:
        """The client's link has no room for anything of a wanted track, or has it again."""
        ...

    def on_condition(self, condition: Condition) -> None:
        """How well packets go to and from the client changed; every few seconds at most."""
        ...


class MediaPeer(Protocol):
    """One ICE/DTLS transport of one participant. Calls return at once; effects follow on the
    wire.
    """

    @property
    def role(self) -> PeerRole: ...

    def answer(self, offer_sdp: str, pending: Sequence[PendingTrack]) -> Negotiated:
        """Answer a client's offer (SINGLE, PUBLISHER, VIEWER): publishes what matches `pending`,
        binds wanted subscriptions. A VIEWER offers once; what is wanted later goes into sections
        that its answer left open.

        Raises `Refusal` with codes `sdp_too_large`, `sdp_malformed`, `sdp_too_many_sections`,
        `sdp_no_fingerprint`,
        `sdp_weak_fingerprint`, `sdp_no_ice`; the peer is then as it was before.
        """
        ...

    def offer(self) -> str:
        """Our next offer (SUBSCRIBER), also the first, which carries the data channels' section."""
        ...

    def accept_answer(self, answer_sdp: str) -> None:
        """The client's answer to our last offer (SUBSCRIBER). Raises `Refusal` as `answer` does."""
        ...

    def subscribe(self, track_id: str, stream_id: str) -> None:
        """Want a published track; media flows once a section carries it. `stream_id` goes into
        `a=msid`.
        """
        ...

    def unsubscribe(self, track_id: str) -> None:
        """No longer want it; its section goes inactive at the next negotiation, packets stop at
        once.
        """
        ...

    def choose(self, track_id: str, view: View) -> None:
        """Carry this much of a wanted track from now on."""
        ...

    def needs_negotiation(self) -> bool:
        """Whether wanted and negotiated subscriptions differ, so that a new offer is due."""
        ...

    def missing_sections(self) -> Sections:
        """How many receive-only sections the client must add for what is wanted (SINGLE)."""
        ...

    def set_muted(self, track_id: str, muted: bool) -> None:
        """Drop packets of a published track while muted, whatever the client sends."""
        ...

    def unpublish(self, track_id: str) -> None:
        """End a published track at once; its section is refused at the next negotiation."""
        ...

    def send_data(self, channel: DataChannel, payload: bytes) -> bool:
        """Queue one message; False when the channel is not open or its bounded buffer is full
        (then it is dropped).
        """
        ...

    def set_not_after(self, seconds: float | None) -> None:
        """The relay stops forwarding to and from this peer after so many seconds."""
        ...

    def take_fragment(self, fragment: str) -> str | None:
        """Take a client's `application/trickle-ice-sdpfrag` (RFC 8840). Its candidates are not
        needed: None. Credentials other than before are an ICE restart: our side's fragment then.

        Raises `Refusal` `fragment_malformed`; everything is then as it was.
        """
        ...

    def report(self) -> TransportReport: ...

    def close(self) -> None:
        """End the transport and everything on it; idempotent."""
        ...


class MediaListener(Protocol):
    """What the media plane tells about tracks as a whole."""

    def on_levels(self, changes: Sequence[tuple[str, float]]) -> None:
        """Loudness of (track id) changed: 0.0 silent to 1.0."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """How much one of the media plane's workers carries."""

    number: int
    busy: float  # share of a core
    peers: int


@dataclass(frozen=True, slots=True)
class MediaCounters:
    """For metrics: relay counters by name, gauges, and handshake outcomes by reason."""

    counters: Mapping[str, int] = field(default_factory=dict)
    peers: int = 0
    tracks: int = 0
    downtracks: int = 0
    handshakes_in_flight: int = 0
    handshakes: Mapping[str, int] = field(default_factory=dict)
    negotiated: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (suite, profile)
    workers: tuple[WorkerLoad, ...] = ()


class Media(Protocol):
    """The media plane."""

    def listen(self, listener: MediaListener) -> None:
        """Set the one listener."""
        ...

    def read_offer(self, offer_sdp: str) -> tuple[OfferedSection, ...]:
        """What an offer holds, without effect. Raises the `Refusal` of :meth:`MediaPeer.answer`."""
        ...

    def open_peer(self, role: PeerRole, events: PeerEvents, room: str) -> MediaPeer:
        """Make a transport; those of one room are carried together.

        Raises `Refusal` (status 503) `server_full` at the peer limit, `media_unavailable`.
        """
        ...

    def counters(self) -> MediaCounters: ...
