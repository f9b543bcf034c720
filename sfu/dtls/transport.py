"""aiortc's DTLS transport, server role, with its keys handed out and its failures explained.

Overridden private parts of aiortc 1.16 (each guarded by a test): `_do_handshake`, `_recv_next`,
`_validate_peer_identity`, `_setup_srtp`, `_write_ssl`, `_send_data`, `stop`, and
`RTCCertificate._create_ssl_context`. The server side of a handshake costs about 1 ms of CPU on
the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, State
from cryptography import x509
from OpenSSL import SSL, crypto

from sfu.crypto_policy import CryptoPolicy
from sfu.dtls import failure
from sfu.dtls.certificate import LocalCertificate, fingerprint, fingerprints_match, key_is_strong
from sfu.dtls.context import PinnedCertificate
from sfu.dtls.course import Bystander, Course
from sfu.dtls.failure import HandshakeRefused
from sfu.dtls.hello import HelloReader
from sfu.dtls.pipe import DatagramPipe
from sfu.dtls.wire import RECORD_HEADER, clear_part, records
from sfu.sdp import Fingerprint

# Leaves room for IPv6, UDP and a TURN relay's header within the smallest path IPv6 allows (1280).
MTU = 1200
# The longest plaintext of one record (RFC 5246 section 6.2.1).
_MAX_PLAINTEXT = 16384


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Keys and salts exported from a finished handshake (RFC 5764 section 4.2)."""

    profile: str
    local_key: bytes
    local_salt: bytes
    remote_key: bytes
    remote_salt: bytes

    def __repr__(self) -> str:
        return f"SrtpKeys(profile={self.profile!r})"  # keys never reach a log


@dataclass(frozen=True, slots=True)
class TransportFacts:
    """What a transport negotiated."""

    dtls_version: str  # "DTLS 1.2"
    cipher_suite: str  # IANA name
    group: str  # "X25519", "P-256", "P-384"
    srtp_profile: str  # "AEAD_AES_128_GCM" or "AES128_CM_HMAC_SHA1_80"
    extended_master_secret: bool
    local_fingerprint: Fingerprint
    remote_fingerprint: Fingerprint
    course: Course
    keyed_at: float  # on the transport's clock


@dataclass(frozen=True, slots=True)
class _Agreement:
    """What both sides settled on, found good."""

    suite: str
    group: str
    srtp_profile: str
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class _Opening:
    """Who looks at the handshake, and is let go with it: a call lasts longer."""

    hello: HelloReader
    bystander: Bystander


class DtlsTransport(RTCDtlsTransport):
    """One handshake, then application data for SCTP. SRTP is the relay's.

    `clock` counts seconds and never goes back.
    """

    # With aiortc's they would be more than the thirty that Python keeps compactly.
    __slots__ = (
        "_announced",
        "_certificate",
        "_clock",
        "_facts",
        "_held",
        "_on_keys",
        "_opening",
        "_pipe",
        "_policy",
        "_refusal",
        "_unread",
    )

    def __init__(
        self,
        pipe: DatagramPipe,
        certificate: LocalCertificate,
        policy: CryptoPolicy,
        on_keys: Callable[[SrtpKeys], None],
        clock: Callable[[], float],
    ) -> None:
        pinned = PinnedCertificate(certificate, policy)
        super().__init__(pipe, [pinned])  # type: ignore[arg-type]  # stands for an ICE transport
        self._set_role("server")
        self._pipe = pipe
        self._certificate = certificate
        self._policy = policy
        self._on_keys = on_keys
        self._clock = clock
        self._opening: _Opening | None = _Opening(HelloReader(), Bystander(clock))
        self._held = b""  # the rest of the handshake's last datagram
        self._unread = 0  # records that OpenSSL was given and may not have read
        self._announced: Sequence[Fingerprint] = ()
        self._refusal: HandshakeRefused | None = None
        self._facts: TransportFacts | None = None

    async def handshake(self, announced: Sequence[Fingerprint], *, within: float) -> TransportFacts:
        """Take the client's handshake, at most `within` seconds; `on_keys` is called before this
        returns.

        Raises `HandshakeRefused`; the peer was told by an alert where DTLS has one.
        """
        self._announced = announced
        parameters = RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint(one.algorithm, one.value) for one in announced]
        )
        try:
            async with asyncio.timeout(within):
                await self._pipe.begun()  # until then it costs no OpenSSL connection
                if self._pipe.state != "closed":
                    await self.start(parameters)
        except TimeoutError:
            raise HandshakeRefused(failure.TIMEOUT) from None
        if self._facts is None:
            unfinished = failure.CLOSED if self._pipe.state == "closed" else failure.PROTOCOL
            raise self._refusal or HandshakeRefused(unfinished)
        return self._facts

    def shut(self) -> None:
        """Say goodbye (close_notify) and end; idempotent, does not wait."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._ssl is not None and self._state in (State.CONNECTING, State.CONNECTED):
            with contextlib.suppress(SSL.Error):  # mid-handshake there is nothing to close
                self._ssl.shutdown()
            self._flush()
        self._pipe.close()

    async def stop(self) -> None:
        self.shut()

    @property
    def _openssl(self) -> SSL.Connection:
        assert self._ssl is not None, "the handshake has not begun"
        return self._ssl

    @property
    def _handshaking(self) -> _Opening:
        assert self._opening is not None, "the handshake is over"
        return self._opening

    # --- aiortc's seams ------------------------------------------------------------------------

    async def _do_handshake(self) -> None:
        """As aiortc's, but keeps OpenSSL's reason, sends the alert, and refuses before the last
        flight leaves what OpenSSL alone would let pass.
        """
        self._openssl.set_app_data(self)
        self._openssl.set_ciphertext_mtu(MTU)
        try:
            agreement = await self._agree()
        except HandshakeRefused as refusal:
            self._refuse(refusal)
        except ConnectionError:
            self._refuse(HandshakeRefused(failure.CLOSED))
        else:
            self._flush()
            self._facts = self._account(agreement)
            self._opening = None
            self.encrypted = True

    async def _agree(self) -> _Agreement:
        while True:
            try:
                self._openssl.do_handshake()
            except SSL.WantReadError:
                self._unread = 0
                self._flush()
                held, self._held = self._held, b""
                if held:
                    self._give(held)
                else:
                    await self._recv_next()
            except SSL.Error as error:
                self._flush()
                hello = self._handshaking.hello.hello
                raise failure.explain(error, hello, self._policy) from error
            else:
                return self._check_negotiated()

    async def _recv_next(self) -> None:
        """One datagram. Raises `ConnectionError` when the transport is over."""
        timeout = None if self.encrypted else self._openssl.DTLSv1_get_timeout()
        try:
            async with asyncio.timeout(timeout):
                datagram = await self._pipe._recv()
        except TimeoutError:
            try:
                self._openssl.DTLSv1_handle_timeout()
            except SSL.Error:
                raise HandshakeRefused(failure.TIMEOUT) from None
            self._flush()
            return
        if not datagram or not 19 < datagram[0] < 64:  # RFC 7983 section 7
            return
        if self._opening is not None:
            self._opening.hello.feed(datagram)
            self._opening.bystander.arrived(datagram)
            # What comes together with a change of ciphers OpenSSL reads through a buffer of 15 kB,
            # and keeps that; what comes after it does without.
            clear = clear_part(datagram) or len(datagram)
            self._give(datagram[:clear])
            self._held = datagram[clear:]
            return
        self._give(datagram)
        for message in self._decrypted():
            if message and self._data_receiver is not None:
                await self._data_receiver._handle_data(message)

    def _give(self, datagram: bytes) -> None:
        self._openssl.bio_write(datagram)
        self._unread += records(datagram)

    def _decrypted(self) -> Iterator[bytes]:
        """Every record of the datagram just written; several may share one. No more than were
        written, since a read in vain leaves OpenSSL with a buffer of 17 kB.
        """
        while self._unread:
            try:
                message = self._openssl.recv(_MAX_PLAINTEXT)
            except SSL.WantReadError:
                self._unread = 0
                self._flush()  # a resent last flight asks for ours again
                return
            except SSL.Error as error:  # closed by the peer, or broken beyond repair
                self._flush()
                raise ConnectionError("the peer ended the transport") from error
            self._unread -= 1
            yield message

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        """Done in `verify_peer` and `_check_negotiated`, while it can still be refused."""

    def _setup_srtp(self) -> None:
        """Hand the exported keys to `on_keys`; this process keeps none."""
        facts = self._facts
        profile = self._policy.srtp_profile(self._openssl.get_selected_srtp_profile().decode())
        if facts is None or profile is None:
            self._refuse(HandshakeRefused(failure.NO_SRTP_PROFILE))
            return
        key, salt = profile.key_length, profile.salt_length
        material = self._openssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        salts = material[2 * key :]
        self._on_keys(
            SrtpKeys(
                profile=profile.iana,
                remote_key=material[:key],  # the client's comes first
                local_key=material[key : 2 * key],
                remote_salt=salts[:salt],
                local_salt=salts[salt:],
            )
        )

    async def _send_data(self, data: bytes) -> None:
        if self._state != State.CONNECTED:
            raise ConnectionError("not connected")
        try:
            self._openssl.send(data)
        except SSL.Error as error:
            raise ConnectionError("the transport takes no more data") from error
        self._flush()

    async def _write_ssl(self) -> None:
        self._flush()

    # --- checks --------------------------------------------------------------------------------

    def verify_peer(self, connection: SSL.Connection, certificate: crypto.X509) -> bool:
        """Judge the client's certificate, and what its hello lacked, while an alert can be sent."""
        if self._refusal is not None:
            return False
        rules = self._policy.peer_certificate
        theirs = certificate.to_cryptography()
        hello = self._handshaking.hello.hello
        if hello is not None and not hello.extended_master_secret:
            code = failure.NO_EXTENDED_MASTER_SECRET
        elif self._policy.srtp_profile(connection.get_selected_srtp_profile().decode()) is None:
            code = failure.NO_SRTP_PROFILE
        elif not key_is_strong(theirs, rules):
            code = failure.CERTIFICATE_WEAK
        elif not fingerprints_match(theirs, self._announced, rules):
            code = failure.FINGERPRINT_MISMATCH
        else:
            return True
        self._refusal = HandshakeRefused(code)
        return False

    def _check_negotiated(self) -> _Agreement:
        """The last word, from OpenSSL's own account of the finished handshake."""
        connection = self._openssl
        policy = self._policy
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            raise HandshakeRefused(failure.CERTIFICATE_MISSING)
        lib: Any = SSL._lib  # type: ignore[attr-defined]  # cffi, untyped
        if lib.SSL_get_extms_support(connection._ssl) != 1:
            raise HandshakeRefused(failure.NO_EXTENDED_MASTER_SECRET)
        if connection.get_protocol_version_name() != "DTLSv1.2":
            raise HandshakeRefused(failure.VERSION)
        suite = policy.suite_name(connection.get_cipher_name() or "")
        if suite is None:
            raise HandshakeRefused(failure.NO_COMMON_SUITE)
        group = policy.group_name(connection.get_group_name() or "")
        if group is None:
            raise HandshakeRefused(failure.NO_COMMON_GROUP)
        profile = policy.srtp_profile(connection.get_selected_srtp_profile().decode())
        if profile is None:
            raise HandshakeRefused(failure.NO_SRTP_PROFILE)
        if not key_is_strong(certificate, policy.peer_certificate):
            raise HandshakeRefused(failure.CERTIFICATE_WEAK)
        if not fingerprints_match(certificate, self._announced, policy.peer_certificate):
            raise HandshakeRefused(failure.FINGERPRINT_MISMATCH)
        return _Agreement(suite, group, profile.iana, certificate)

    def _account(self, agreement: _Agreement) -> TransportFacts:
        return TransportFacts(
            dtls_version="DTLS 1.2",
            cipher_suite=agreement.suite,
            group=agreement.group,
            srtp_profile=agreement.srtp_profile,
            extended_master_secret=True,
            local_fingerprint=self._certificate.fingerprints[0],
            remote_fingerprint=fingerprint(agreement.certificate, "sha-256"),
            course=self._handshaking.bystander.course(),
            keyed_at=self._clock(),
        )

    def _refuse(self, refusal: HandshakeRefused) -> None:
        self._refusal = self._refusal or refusal  # the verdict of `verify_peer` came first
        self._facts = None
        self._set_state(State.FAILED)

    # --- outgoing ------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Send what OpenSSL has written, as datagrams of whole records."""
        written = bytearray()
        while True:
            try:
                written += self._openssl.bio_read(65536)
            except SSL.Error:
                break
        outgoing = datagrams(bytes(written))
        if self._opening is not None:
            self._opening.bystander.left(outgoing)
        self._pipe.send(outgoing)


def datagrams(written: bytes) -> list[bytes]:
    """Cut a run of DTLS records into datagrams of at most `MTU` bytes; a record is never cut."""
    packed: list[bytes] = []
    start = position = 0
    while position < len(written):
        length = int.from_bytes(written[position + 11 : position + 13], "big")
        end = position + RECORD_HEADER + length
        if end - start > MTU and position > start:
            packed.append(written[start:position])
            start = position
        position = end
    if start < len(written):
        packed.append(written[start:])
    return packed
