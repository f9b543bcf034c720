"""One peer's transport: ICE credentials, the DTLS handshake, keys to the relay, data channels.

new ──▶ connecting ──▶ connected          a description, then keys
 │          │              │
 └──────────┴──────┬───────┘
                   ▼
                failed ──▶ closed         (and from anywhere to closed)
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Protocol

from sfu.commands import ClosePeer, Command, InstallKeys, OpenPeer, SendDtls, SetRemoteIce
from sfu.dtls import (
    DatagramPipe,
    DtlsTransport,
    HandshakeRefused,
    LocalCertificate,
    SrtpKeys,
    TransportFacts,
    failure,
)
from sfu.events import Channel
from sfu.handshakes import Handshakes
from sfu.negotiation import RemoteTransport
from sfu.options import MediaOptions
from sfu.sctp import DataChannels, DataRefused
from sfu.sdp import Credentials

_UFRAG_BYTES = 8
_PASSWORD_BYTES = 16


class TransportState(enum.StrEnum):
    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


_NEXT: dict[TransportState, frozenset[TransportState]] = {
    TransportState.NEW: frozenset(
        {TransportState.CONNECTING, TransportState.FAILED, TransportState.CLOSED}
    ),
    TransportState.CONNECTING: frozenset(
        {TransportState.CONNECTED, TransportState.FAILED, TransportState.CLOSED}
    ),
    TransportState.CONNECTED: frozenset({TransportState.FAILED, TransportState.CLOSED}),
    TransportState.FAILED: frozenset({TransportState.CLOSED}),
    TransportState.CLOSED: frozenset(),
}


class TransportOwner(Protocol):
    """Told at once, also from within calls into the transport."""

    def transport_connected(self) -> None: ...

    def transport_failed(self, code: str, sentence: str) -> None: ...

    def transport_data(self, channel: Channel, payload: bytes) -> None: ...

    def transport_channels_open(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every transport of a media plane shares."""

    options: MediaOptions
    handshakes: Handshakes
    entropy: Callable[[int], bytes]
    clock: Callable[[], float]  # seconds that never go back
    # Queues commands for the peer of that number; a refusal comes back as that peer's failure.
    send: Callable[[int, tuple[Command, ...]], None]


class PeerTransport:
    """Opens its place in the relay when made; `fail` and `close` give it back."""

    def __init__(
        self,
        number: int,
        surroundings: Surroundings,
        certificate: LocalCertificate,
        owner: TransportOwner,
        *,
        opens_channels: bool,
    ) -> None:
        self.number = number
        self.ufrag = surroundings.entropy(_UFRAG_BYTES).hex()
        self.password = surroundings.entropy(_PASSWORD_BYTES).hex()
        self.certificate = certificate
        self.state = TransportState.NEW
        self.facts: TransportFacts | None = None
        self.failure: str | None = None
        self._around = surroundings
        self._owner = owner
        self._opens_channels = opens_channels
        self._remote: RemoteTransport | None = None
        self._wants_channels = False
        self._channels_told = False
        self._channels: DataChannels | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pipe = DatagramPipe(self._send_dtls)
        self._dtls = DtlsTransport(
            self._pipe,
            certificate,
            surroundings.options.policy,
            self._install_keys,
            surroundings.clock,
        )
        self._dtls.on("statechange", self._dtls_changed)
        self._send(OpenPeer(peer=number, ufrag=self.ufrag, password=self.password))

    @property
    def is_over(self) -> bool:
        return self.state in (TransportState.FAILED, TransportState.CLOSED)

    def described(self, remote: RemoteTransport, *, data_channels: bool) -> bool:
        """The client's end, from each of its descriptions; False when the transport is over.

        The first description starts the handshake.
        """
        if self.is_over:
            return False
        first = self._remote is None
        if self._remote is not None and self._remote.fingerprints != remote.fingerprints:
            self.fail(
                "dtls_fingerprint_changed", "The client's certificate cannot change in a call."
            )
            return False
        if self._remote is None or self._remote.ufrag != remote.ufrag:
            self._send(SetRemoteIce(peer=self.number, ufrag=remote.ufrag, password=remote.password))
        self._remote = remote
        self._wants_channels |= data_channels
        if first:
            self._become(TransportState.CONNECTING)
            self._spawn(self._handshake(remote))
        elif self.state is TransportState.CONNECTED:
            self._spawn(self._start_channels())
        return True

    def is_restart(self, remote: Credentials) -> bool:
        """Whether these are other credentials than the client's last."""
        known = self._remote
        return known is None or (known.ufrag, known.password) != (remote.ufrag, remote.password)

    def deliver(self, datagram: bytes) -> None:
        """A DTLS datagram from the client; before our description of them it is dropped."""
        if self.state is TransportState.CONNECTING:
            if self._around.handshakes.enter(self.number, self._crowded_out):
                self._pipe.deliver(datagram)
        elif self.state is TransportState.CONNECTED:
            self._pipe.deliver(datagram)

    @property
    def datagrams_dropped(self) -> int:
        return self._pipe.dropped

    def send_data(self, channel: Channel, payload: bytes) -> bool:
        """Queue one message; False when it was dropped."""
        if self._channels is None or self.is_over:
            return False
        return self._channels.send(channel.value, payload)

    def fail(self, code: str, sentence: str) -> None:
        """Give up: say goodbye, leave the relay, tell the owner. Later calls change nothing."""
        if self.is_over:
            return
        if self.state is TransportState.CONNECTING:
            self._around.handshakes.failed(self.number, code)
        self._become(TransportState.FAILED)
        self.failure = code
        self._release()
        self._owner.transport_failed(code, sentence)

    def close(self) -> None:
        """End without telling the owner; idempotent."""
        if self.state is TransportState.CLOSED:
            return
        if self.state is TransportState.CONNECTING:
            self._around.handshakes.failed(self.number, "closed")
        over = self.is_over
        self._become(TransportState.CLOSED)
        if not over:
            self._release()

    # --- inside --------------------------------------------------------------------------------

    def _become(self, state: TransportState) -> None:
        if state not in _NEXT[self.state]:
            raise RuntimeError(f"a transport cannot go from {self.state} to {state}")
        self.state = state

    async def _handshake(self, remote: RemoteTransport) -> None:
        try:
            facts = await self._dtls.handshake(
                remote.fingerprints, within=self._around.options.handshake_seconds
            )
        except HandshakeRefused as refusal:
            self.fail(refusal.code, refusal.sentence)
            return
        except Exception:
            self.fail("internal", "The handshake could not be carried out.")
            raise  # ours: the loop's handler shows it
        if self.is_over:
            return
        self.facts = facts
        self._become(TransportState.CONNECTED)
        self._around.handshakes.succeeded(self.number, facts)
        # Before the next datagram is read, so that none of the client's is lost.
        await self._start_channels()
        self._owner.transport_connected()

    async def _start_channels(self) -> None:
        if not self._wants_channels or self._channels is not None or self.is_over:
            return
        self._channels = DataChannels(
            self._dtls,
            on_message=self._channel_message,
            on_open=self._channel_open,
            on_failed=self._channels_failed,
        )
        await self._channels.start()
        if self._opens_channels:
            self._channels.open_ours()

    def _crowded_out(self) -> None:
        """Comes from within another peer's turn, so the owner is told later."""
        refusal = HandshakeRefused(failure.CROWDED_OUT)
        self.fail(refusal.code, refusal.sentence)

    def _channel_message(self, label: str, payload: bytes) -> None:
        if label in (Channel.RELIABLE, Channel.LOSSY):  # others are accepted and unused
            self._owner.transport_data(Channel(label), payload)

    def _channel_open(self, _label: str) -> None:
        assert self._channels is not None
        if not self._channels_told and all(self._channels.is_open(label) for label in Channel):
            self._channels_told = True
            self._owner.transport_channels_open()

    def _channels_failed(self, refusal: DataRefused) -> None:
        """Comes from inside the engine, which must unwind before it is shut."""
        asyncio.get_running_loop().call_soon(self.fail, refusal.code, refusal.sentence)

    def _dtls_changed(self) -> None:
        if self._dtls.state == "closed" and self.state is TransportState.CONNECTED:
            self.fail("transport_closed", "The client closed the transport.")

    def _install_keys(self, keys: SrtpKeys) -> None:
        self._send(
            InstallKeys(
                peer=self.number,
                profile=keys.profile,
                local_key=keys.local_key,
                local_salt=keys.local_salt,
                remote_key=keys.remote_key,
                remote_salt=keys.remote_salt,
            )
        )

    def _send_dtls(self, datagrams: Sequence[bytes]) -> None:
        self._send(SendDtls(peer=self.number, datagrams=tuple(datagrams)))

    def _send(self, *commands: Command) -> None:
        self._around.send(self.number, commands)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._tasks.discard)

    def _release(self) -> None:
        if self._channels is not None:
            self._channels.close()
        self._dtls.remove_listener("statechange", self._dtls_changed)
        self._dtls.shut()  # its goodbye goes before the relay forgets the peer
        self._send(ClosePeer(peer=self.number))
