"""A DTLS client that offers what it is told to, weak or not, over OpenSSL (RFC 6347, RFC 5764)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from OpenSSL import SSL

from sfu.probe.crafter.answers import (
    CertificateChain,
    CertificateRequest,
    NewSessionTicket,
    ServerKeyExchange,
)
from sfu.probe.crafter.flight import Flight
from sfu.probe.crafter.vectors import Malformed
from sfu.probe.identity import Identity
from sfu.probe.names import GROUPS, SIGNATURES, VERSIONS, named
from sfu.probe.path import Path
from sfu.probe.row import Untested
from sfu.probe.suites import iana_name, openssl_name

DTLS_1_0: Final = 0xFEFF
DTLS_1_2: Final = 0xFEFD

# SSL_OP_NO_EXTENDED_MASTER_SECRET, which pyOpenSSL does not name (openssl/ssl.h)
_NO_EXTENDED_MASTER_SECRET: Final = 1 << 0
_MTU: Final = 1200  # bytes
_RECORD_HEADER: Final = 13
_SETTLE: Final = 0.4  # seconds in which a server may still end a handshake that looked done
_SETTLE_STEP: Final = 0.05
_PSK: Final = b"\x42" * 16

_lib: Any = SSL._lib  # type: ignore[attr-defined]  # cffi, untyped
_ffi: Any = SSL._ffi  # type: ignore[attr-defined]  # cffi, untyped


@dataclass(frozen=True, slots=True)
class Hello:
    """What the client offers. The defaults are what an honest client of today offers."""

    version: int = DTLS_1_2
    oldest: int | None = None  # else no older than `version`
    suites: tuple[str, ...] = (  # IANA names
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    )
    groups: str = "X25519:P-256:P-384"
    signatures: str = ""  # OpenSSL's list; empty: its default
    profiles: str | None = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"  # None: no use_srtp
    certificate: bool = True
    extended_master_secret: bool = True
    tickets: bool = False


class Handshake:
    """A handshake's state and, once it is over, what came of it."""

    def __init__(
        self, hello: Hello, identity: Identity, *, resuming: Handshake | None = None
    ) -> None:
        """`resuming` is one that is over, whose session this one offers again.

        Raises `Untested` when this build of OpenSSL cannot offer that.
        """
        self.flight = Flight()
        self.done = False
        self.silent = False  # it ended because its time was over
        self.error = ""  # why it ended, in a few words; empty while it may still succeed
        self._context: SSL.Context = resuming._context if resuming else _context(hello, identity)
        self.connection = SSL.Connection(self._context, None)
        self.connection.set_connect_state()
        self.connection.set_ciphertext_mtu(_MTU)
        session = resuming.connection.get_session() if resuming else None
        if session is not None:
            self.connection.set_session(session)

    @property
    def version(self) -> str | None:
        hello = self.flight.hello
        return named(VERSIONS, hello.legacy_version) if hello else None

    @property
    def suite(self) -> str | None:
        """The IANA name of the suite the server chose."""
        hello = self.flight.hello
        return iana_name(hello.suite) if hello else None

    @property
    def group(self) -> str | None:
        """The key exchange's; None before it came, and in a suite without one by name."""
        exchange = self.flight.first(ServerKeyExchange)
        return named(GROUPS, exchange.group) if exchange else None

    @property
    def signature(self) -> str | None:
        """What the server signed its key exchange with."""
        exchange = self.flight.first(ServerKeyExchange)
        if exchange is None or exchange.scheme is None:
            return None
        return named(SIGNATURES, exchange.scheme)

    @property
    def certificate(self) -> bytes | None:
        """The server's own, DER."""
        chain = self.flight.first(CertificateChain)
        return chain.certificates[0] if chain and chain.certificates else None

    @property
    def asked_signatures(self) -> tuple[str, ...] | None:
        """What the client may sign with; None when it was not asked for a certificate."""
        request = self.flight.first(CertificateRequest)
        return tuple(named(SIGNATURES, one) for one in request.schemes) if request else None

    @property
    def ticket(self) -> bytes | None:
        """The session ticket that was issued."""
        issued = self.flight.first(NewSessionTicket)
        return issued.ticket if issued else None

    @property
    def profile(self) -> str | None:
        """OpenSSL's name of the SRTP profile the server chose."""
        return self.connection.get_selected_srtp_profile().decode() or None if self.done else None

    @property
    def summary(self) -> str:
        """What was agreed on, for a person."""
        chosen = (self.version, self.suite, self.group, self.profile)
        return ", ".join(one for one in chosen if one)

    async def run(self, path: Path, within: float, ended: Callable[[], str | None]) -> None:
        """Shake hands, then wait a moment for a server that ends it only afterwards.

        `ended` says why signalling was ended, None while it was not.
        """
        deadline = time.monotonic() + within
        while True:
            self.step(path)
            if self.done or self.error:
                break
            if why := ended():
                self.error = f"signalling ended: {why}"
                break
            if time.monotonic() >= deadline:
                self.error = "no end of it" if self.flight.hello else "no answer"
                self.silent = True
                break
            await self._receive(path)
        if self.done:
            await self._settle(path, ended)

    def step(self, path: Path) -> None:
        """Let OpenSSL take what it was given, and send what it has to say."""
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.error = self._why(error)
        else:
            self.done = True
        self.flush(path)

    def flush(self, path: Path) -> None:
        """Send what OpenSSL has written."""
        for datagram in _datagrams(self.connection):
            path.send(datagram)

    async def _receive(self, path: Path) -> None:
        """One datagram, or OpenSSL's own timer."""
        timer = self.connection.DTLSv1_get_timeout()
        try:
            datagram = await asyncio.wait_for(
                path.dtls.get(), min(0.2, 0.2 if timer is None else timer)
            )
        except TimeoutError:
            if timer is not None and timer <= 0.2:
                with contextlib.suppress(SSL.Error):
                    self.connection.DTLSv1_handle_timeout()
                self.flush(path)
            return
        # What cannot be read tells nothing; OpenSSL will end the handshake over it.
        with contextlib.suppress(Malformed):
            self.flight.feed(datagram)
        self.connection.bio_write(datagram)

    async def _settle(self, path: Path, ended: Callable[[], str | None]) -> None:
        until = time.monotonic() + _SETTLE
        while time.monotonic() < until and not self.error:
            with contextlib.suppress(TimeoutError):
                datagram = await asyncio.wait_for(path.dtls.get(), _SETTLE_STEP)
                self.connection.bio_write(datagram)
            try:
                self.connection.recv(16384)
            except SSL.WantReadError:
                self.flush(path)
            except SSL.ZeroReturnError:
                self.error = "closed at once"
            except SSL.Error as error:
                self.error = self._why(error)
            if why := ended():
                self.error = self.error or f"signalling ended: {why}"

    def _why(self, error: SSL.Error) -> str:
        if self.flight.refusal:
            return f"alert {self.flight.refusal}"
        reasons = [str(one[-1]) for one in error.args[0]] if error.args else []
        why = next((reason for reason in reasons if reason), "OpenSSL gave up")
        if any(word in why for word in ("no ciphers available", "no protocols available")):
            raise Untested(f"this build of OpenSSL cannot offer it ({why})")
        return why


def _context(hello: Hello, identity: Identity) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(hello.oldest or hello.version)
    context.set_max_proto_version(hello.version)
    # Level 0 allows what is weak; a wish to be refused must be one that can be uttered.
    names = ":".join(openssl_name(suite) for suite in hello.suites)
    try:
        context.set_cipher_list(f"{names}:@SECLEVEL=0".encode())
    except SSL.Error:
        raise Untested("this build of OpenSSL does not have the suite") from None
    _lib.SSL_CTX_set_psk_client_callback(context._context, _psk)
    if _lib.SSL_CTX_set1_curves_list(context._context, hello.groups.encode()) != 1:
        _lib.ERR_clear_error()
        raise Untested("this build of OpenSSL does not have the group")
    if hello.signatures and (
        _lib.SSL_CTX_set1_sigalgs_list(context._context, hello.signatures.encode()) != 1
    ):
        _lib.ERR_clear_error()
        raise Untested("this build of OpenSSL does not have the signature algorithm")
    if hello.profiles is not None:
        context.set_tlsext_use_srtp(hello.profiles.encode())
    options = 0
    if not hello.tickets:
        options |= SSL.OP_NO_TICKET
    if not hello.extended_master_secret:
        options |= _NO_EXTENDED_MASTER_SECRET
    context.set_options(options)
    if hello.certificate:
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.key)
    # Both certificates are self-signed; who the server is, a row of its own looks at.
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    return context


def _give_psk(_ssl: Any, _hint: Any, identity: Any, longest: int, key: Any, room: int) -> int:
    """Without it OpenSSL leaves the suites with a pre-shared key out of the hello."""
    if longest < 6 or room < len(_PSK):
        return 0
    _ffi.memmove(identity, b"probe\0", 6)
    _ffi.memmove(key, _PSK, len(_PSK))
    return len(_PSK)


_psk: Final = _ffi.callback(
    "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)",
    _give_psk,
)


def _datagrams(connection: SSL.Connection) -> Iterator[bytes]:
    """Whole records, as many to a datagram as fit."""
    written = b""
    while True:
        try:
            written += connection.bio_read(65536)
        except SSL.WantReadError:
            break
    datagram = b""
    while written:
        length = _RECORD_HEADER + int.from_bytes(written[11:13], "big")
        if datagram and len(datagram) + length > _MTU:
            yield datagram
            datagram = b""
        datagram += written[:length]
        written = written[length:]
    if datagram:
        yield datagram
