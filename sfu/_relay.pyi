"""The packet relay: sockets, ICE-lite, SRTP, RTP and RTCP, on a thread of its own.

The seam is small (DESIGN 4). Commands go in with :meth:`Relay.apply`, which never waits and returns
a ticket. Events come out of :meth:`Relay.poll_events` after :attr:`Relay.event_fd` became readable;
each ticket is answered by exactly one :class:`Done`. Nothing crosses per media packet.

Peers, tracks and downtracks are numbered by the caller (0 to 2**64 - 1); a number is never used
twice. Every class here is frozen, takes keywords only, raises :class:`ValueError` for a value out
of range or of the wrong length, and shows no key, password or address in its ``repr``.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, final

Profile: TypeAlias = Literal["AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"]
Codec: TypeAlias = Literal["opus", "red", "vp8", "vp9", "h264", "av1"]
Kind: TypeAlias = Literal["audio", "video"]

class RelayClosed(Exception):
    """The relay was closed, or its worker died; make a new one."""

class QueueFull(Exception):
    """The worker is not keeping up with commands; nothing of the refused batch was queued."""

@final
class Relay:
    """One worker: one thread and its UDP sockets. Closed when garbage collected at the latest."""

    def __new__(
        cls, *, binds: Sequence[tuple[str, int]], max_peers: int = 4096, coalesce_us: int = 1000
    ) -> Relay:
        """Open one non-blocking UDP socket per (numeric address, port) and start the worker.

        Port 0 takes a free port. ``coalesce_us``: microseconds that a packet may wait for others to
        leave with it, where some come; more than 1000 count as 1000, 0 lets none wait. Raises
        :class:`OSError` when a socket cannot be opened and :class:`ValueError` for an address that
        is not numeric or an empty list.
        """
    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the sockets really listen, in the order of ``binds``."""
    @property
    def event_fd(self) -> int:
        """Readable while events wait; for ``loop.add_reader``. ``poll_events`` resets it."""
    def apply(self, commands: Sequence[Command]) -> int:
        """Queue commands, in order, and return the ticket that their :class:`Done` will carry.

        Never waits; releases the GIL. They run in order in one go, up to and not past the first
        that is refused. Raises :class:`RelayClosed` or :class:`QueueFull`.
        """
    def poll_events(self) -> list[Event]:
        """All events that wait, oldest first."""
    def counters(self) -> dict[str, int]:
        """Every counter by name; all only grow, except those that end in ``_now``."""
    def close(self) -> None:
        """Stop the worker and close its sockets; waits milliseconds for the thread. Idempotent."""

# Commands.

@final
class OpenPeer:
    """Make a transport that waits for STUN on these credentials of ours.

    ``ufrag``: 4 to 256 characters, unique in the relay. ``password``: 22 to 256 characters.
    """

    def __new__(cls, *, peer: int, ufrag: str, password: str) -> OpenPeer: ...
    @property
    def peer(self) -> int: ...

@final
class SetRemoteIce:
    """The other side's credentials, with which the relay questions its addresses.

    Give them before media is to flow: an address gets more than three times what it sent only
    after it has answered a Binding request under these (DESIGN 2.4).
    """

    def __new__(cls, *, peer: int, ufrag: str, password: str) -> SetRemoteIce: ...
    @property
    def peer(self) -> int: ...

@final
class RestartIce:
    """New credentials for both sides of a living peer.

    The old ones stay good until the first authenticated check under the new; addresses, DTLS and
    SRTP go on untouched.
    """

    def __new__(
        cls, *, peer: int, ufrag: str, password: str, remote_ufrag: str, remote_password: str
    ) -> RestartIce: ...
    @property
    def peer(self) -> int: ...

@final
class InstallKeys:
    """DTLS is done and the fingerprint matched: the SRTP keys, once per peer.

    Keys have 16 bytes; salts 12 (GCM) or 14 (CM). ``local`` is what the relay seals with.
    """

    def __new__(
        cls,
        *,
        peer: int,
        profile: Profile,
        local_key: bytes,
        local_salt: bytes,
        remote_key: bytes,
        remote_salt: bytes,
    ) -> InstallKeys: ...
    @property
    def peer(self) -> int: ...
    @property
    def profile(self) -> Profile: ...

@final
class OpenPipe:
    """Make a peer of another relay that the caller rules as well: where it is and the keys are by
    this word; it needs no ICE, no DTLS and no consent.

    ``local`` is our address, as the other end's ``remote`` has it. ``profile`` and keys as in
    :class:`InstallKeys`, but random and of this pipe alone. One pipe to one ``remote``. What comes
    over it is opened where a track announces its SSRC. Each SSRC is used once in its life. ``mid``
    of its tracks is whatever names their publisher.
    """

    def __new__(
        cls,
        *,
        peer: int,
        local: str,
        remote: tuple[str, int],
        profile: Profile,
        local_key: bytes,
        local_salt: bytes,
        remote_key: bytes,
        remote_salt: bytes,
    ) -> OpenPipe: ...
    @property
    def peer(self) -> int: ...
    @property
    def profile(self) -> Profile: ...

@final
class ClosePeer:
    """Forget the peer, its tracks (with BYE to their subscribers) and its downtracks."""

    def __new__(cls, *, peer: int) -> ClosePeer: ...
    @property
    def peer(self) -> int: ...

@final
class SetNotAfter:
    """Stop forwarding to and from the peer so many seconds after this object was made.

    ``None`` lifts the limit.
    """

    def __new__(cls, *, peer: int, seconds_from_now: float | None) -> SetNotAfter: ...
    @property
    def peer(self) -> int: ...

@final
class AddTrack:
    """Accept a published track.

    ``formats``: (payload type, codec) as the publisher numbers them. ``extensions``: (id, URI);
    unknown URIs are ignored. ``encodings``, lowest layer first: an ``int`` is an SSRC announced in
    the SDP; a ``str`` is a RID, whose SSRC is learned from the MID and RID extensions; ``None`` is
    the section's only stream, learned from its MID. ``nack``: the publisher resends what it is
    asked for. ``repair_formats``: (payload type, payload type it repairs) of RFC 4588;
    ``repair_streams``: announced (media SSRC, retransmission SSRC), others are learned from MID
    and repaired RID.
    """

    def __new__(
        cls,
        *,
        track: int,
        peer: int,
        kind: Kind,
        mid: str,
        clock_rate: int,
        formats: Sequence[tuple[int, Codec]],
        extensions: Sequence[tuple[int, str]],
        encodings: Sequence[int | str | None],
        nack: bool = False,
        repair_formats: Sequence[tuple[int, int]] = (),
        repair_streams: Sequence[tuple[int, int]] = (),
    ) -> AddTrack: ...
    @property
    def track(self) -> int: ...
    @property
    def peer(self) -> int: ...

@final
class MuteTrack:
    """Drop the track's packets while muted, whatever its publisher sends."""

    def __new__(cls, *, track: int, muted: bool) -> MuteTrack: ...
    @property
    def track(self) -> int: ...
    @property
    def muted(self) -> bool: ...

@final
class RemoveTrack:
    """Stop accepting a track. Its downtracks are removed with it, each with RTCP BYE, but for those
    that stand.
    """

    def __new__(cls, *, track: int) -> RemoveTrack: ...
    @property
    def track(self) -> int: ...

@final
class AddDowntrack:
    """Forward a track to a subscriber.

    ``ssrc`` must be one never used before towards this peer. ``formats`` and ``extensions`` are
    numbered as the subscriber does. ``cname`` is the same for every track of one publisher. One
    that ``stands`` outlives its track and waits for :class:`SwitchDowntrack`. ``layer``,
    ``paused``, ``frame_rate`` and ``priority`` are what it wants at first; see ``SetDowntrack``.
    With ``repair_ssrc``, never used before either, what is lost is resent there in
    ``repair_formats`` (payload type, payload type it repairs), else byte for byte on ``ssrc``.
    Towards a pipe each encoding has a downtrack of its own, which carries ``only`` that one, at all
    times, whatever ``layer`` says.
    """

    def __new__(
        cls,
        *,
        downtrack: int,
        peer: int,
        track: int,
        ssrc: int,
        formats: Sequence[tuple[int, Codec]],
        extensions: Sequence[tuple[int, str]],
        cname: str,
        nack: bool,
        layer: int | None = None,
        paused: bool = False,
        frame_rate: int | None = None,
        priority: int = 1,
        stands: bool = False,
        repair_ssrc: int | None = None,
        repair_formats: Sequence[tuple[int, int]] = (),
        only: int | None = None,
    ) -> AddDowntrack: ...
    @property
    def downtrack(self) -> int: ...
    @property
    def peer(self) -> int: ...
    @property
    def track(self) -> int: ...

@final
class SetDowntrack:
    """The subscriber chooses. ``layer`` is the highest one it wants, 0 the lowest, None for the
    best there is; the lowest that is sent comes anyhow. Layers are the track's encodings, and the
    spatial layers within the stream where there is one encoding. ``paused``: nothing is wanted for
    now. ``frame_rate``: so many pictures a second are enough (0 to 255), None for all.
    ``priority``, 0 to 255: the higher one is served first where the link has not enough room.
    """

    def __new__(
        cls,
        *,
        downtrack: int,
        layer: int | None,
        paused: bool,
        frame_rate: int | None = None,
        priority: int = 1,
    ) -> SetDowntrack: ...
    @property
    def downtrack(self) -> int: ...
    @property
    def layer(self) -> int | None: ...
    @property
    def paused(self) -> bool: ...
    @property
    def frame_rate(self) -> int | None: ...
    @property
    def priority(self) -> int: ...

@final
class SwitchDowntrack:
    """Carry another track of the same kind from now on, or for now nothing, under the same SSRC.

    ``formats``: those of that track which the subscriber takes, as it numbers them.
    """

    def __new__(
        cls, *, downtrack: int, track: int | None, formats: Sequence[tuple[int, Codec]]
    ) -> SwitchDowntrack: ...
    @property
    def downtrack(self) -> int: ...
    @property
    def track(self) -> int | None: ...

@final
class RemoveDowntrack:
    """Stop forwarding, with RTCP BYE."""

    def __new__(cls, *, downtrack: int) -> RemoveDowntrack: ...
    @property
    def downtrack(self) -> int: ...

@final
class SendDtls:
    """Send DTLS to where the peer's DTLS came from, in datagrams of 1 to 2048 bytes."""

    def __new__(cls, *, peer: int, datagrams: Sequence[bytes]) -> SendDtls: ...
    @property
    def peer(self) -> int: ...

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

# Events.

@final
class Done:
    """A ticket is finished. ``error`` is the code of the first refused command, whose place in the
    batch is ``failed_at``; the commands after it were not run.

    Codes: unknown_peer, unknown_track, unknown_downtrack, unknown_encoding, duplicate, bad_keys,
    no_common_format, limit_reached.
    """

    @property
    def ticket(self) -> int: ...
    @property
    def error(self) -> str | None: ...
    @property
    def failed_at(self) -> int | None: ...

@final
class Dtls:
    """A DTLS datagram from an address that STUN has bound to the peer."""

    @property
    def peer(self) -> int: ...
    @property
    def datagram(self) -> bytes: ...

@final
class MediaStarted:
    """The first packet that opened under the peer's keys: it is connected."""

    @property
    def peer(self) -> int: ...

@final
class ConsentLost:
    """No valid STUN from the peer's address for 30 s (RFC 7675); sending has stopped for good."""

    @property
    def peer(self) -> int: ...

@final
class Expired:
    """The peer's ``not_after`` passed; forwarding to and from it has stopped."""

    @property
    def peer(self) -> int: ...

@final
class Levels:
    """(track, loudness from 0.0 to 1.0) where it changed, at most every 400 ms."""

    @property
    def changes(self) -> list[tuple[int, float]]: ...

@final
class TrackStarted:
    """The track's first packet was accepted."""

    @property
    def track(self) -> int: ...

@final
class Withheld:
    """The link to ``peer`` has no room for anything of ``downtrack``, or has it again."""

    @property
    def peer(self) -> int: ...
    @property
    def downtrack(self) -> int: ...
    @property
    def withheld(self) -> bool: ...

@final
class Health:
    """How well packets go between ``peer`` and the relay changed; looked at every 5 s.

    Losses are percent of what the peer sends (up) and is sent (down), None where that is too
    little to say; ``round_trip`` is seconds in hundredths; ``withheld``: the link has no room for
    something wanted; ``silent``: the peer answers no more, though consent is not lost yet.
    """

    @property
    def peer(self) -> int: ...
    @property
    def loss_up(self) -> int | None: ...
    @property
    def loss_down(self) -> int | None: ...
    @property
    def round_trip(self) -> float | None: ...
    @property
    def withheld(self) -> bool: ...
    @property
    def silent(self) -> bool: ...

@final
class WorkerDied:
    """The worker thread ended by itself: all its peers are gone. Start a new relay."""

    @property
    def reason(self) -> str: ...

Event: TypeAlias = (
    Done
    | Dtls
    | MediaStarted
    | ConsentLost
    | Expired
    | Levels
    | TrackStarted
    | Withheld
    | Health
    | WorkerDied
)

# The core's codecs laid bare, for differential tests and for nothing else.

_Block: TypeAlias = tuple[int, int, int, int, int, int, int]

class oracle:
    """A submodule (``from sfu._relay import oracle``).

    Wrong input raises :class:`ValueError` with the stable word for it.

    A report block is (ssrc, fraction lost, cumulative lost, highest sequence, jitter, last SR,
    delay since last SR), as in RFC 3550 section 6.4.1.
    """

    @final
    class Srtp:
        """Seals and opens under one master key, with a replay window per SSRC.

        Words: malformed, replayed, too_old, bad_tag, unencrypted.
        """

        def __new__(cls, *, profile: Profile, key: bytes, salt: bytes) -> oracle.Srtp: ...
        def seal_rtp(self, packet: bytes, index: int) -> bytes:
            """``index``: roll-over counter << 16 | sequence number."""
        def seal_rtcp(self, packet: bytes, index: int) -> bytes:
            """``index``: 31 bits."""
        def open_rtp(self, packet: bytes) -> tuple[int, bytes]:
            """Packet index and plain packet."""
        def open_rtcp(self, packet: bytes) -> bytes:
            """The plain compound."""

    @staticmethod
    def stun_parse(datagram: bytes) -> dict[str, Any]:
        """class, transaction, username, use_candidate, ice_controlled, error_code,
        xor_mapped_address."""
    @staticmethod
    def stun_verify(datagram: bytes, password: bytes) -> bool: ...
    @staticmethod
    def stun_success(transaction: bytes, mapped: tuple[str, int], password: bytes) -> bytes: ...
    @staticmethod
    def stun_request(
        transaction: bytes, username: str, priority: int, tie_breaker: int, password: bytes
    ) -> bytes: ...
    @staticmethod
    def rtcp_parse(compound: bytes) -> list[dict[str, Any]]:
        """One dict per packet; ``kind`` says which, the other keys are its fields."""
    @staticmethod
    def rtcp_sender_report(
        sender: int, info: tuple[int, int, int, int], reports: Sequence[_Block]
    ) -> bytes:
        """``info``: NTP time, RTP time, packets, octets."""
    @staticmethod
    def rtcp_receiver_report(sender: int, reports: Sequence[_Block]) -> bytes: ...
    @staticmethod
    def rtcp_cname(source: int, cname: str) -> bytes: ...
    @staticmethod
    def rtcp_bye(sources: Sequence[int]) -> bytes: ...
    @staticmethod
    def rtcp_nack(sender: int, media: int, lost: Sequence[int]) -> bytes: ...
    @staticmethod
    def rtcp_picture_loss(sender: int, media: int) -> bytes: ...
    @staticmethod
    def rtcp_transport_feedback(
        sender: int,
        media: int,
        base: int,
        feedback_count: int,
        arrivals: Sequence[int | None],
    ) -> bytes:
        """``arrivals``: microseconds, ``None`` for what did not arrive."""
