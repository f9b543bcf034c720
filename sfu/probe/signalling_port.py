"""The signalling port spoken to over TCP: TLS that offers what it is told to, and nothing at all.

Who the server is counts for nothing here but in `verified`; each call is a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from sfu.probe.row import Blocked, Untested
from sfu.probe.targets import Door

TLS_1_0: Final = 0x0301
TLS_1_1: Final = 0x0302
TLS_1_2: Final = 0x0303
TLS_1_3: Final = 0x0304

PATIENCE: Final = 5.0  # seconds for a handshake, or an answer
MAX_ANSWER: Final = 65536  # bytes of an HTTP answer that are read
# Everything this OpenSSL knows, weak or not: what is refused must be one that was uttered.
EVERY_SUITE: Final = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
HOSTNAME_MISMATCH: Final = 62  # X509_V_ERR_HOSTNAME_MISMATCH
_ADDRESS_MISMATCH: Final = 64  # X509_V_ERR_IP_ADDRESS_MISMATCH


class Refused(Exception):
    """No TLS handshake came about; the text says why in a few words."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a handshake led to."""

    version: str  # "TLSv1.2"
    suite: str  # OpenSSL's name; IANA's in 1.3
    chain: tuple[x509.Certificate, ...]  # as presented, the server's own first


class TlsLink:
    """A TLS connection that is open."""

    def __init__(
        self,
        connection: SSL.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.connection = connection
        self._reader = reader
        self._writer = writer

    @property
    def agreed(self) -> Agreed:
        chain = self.connection.get_peer_cert_chain(as_cryptography=True) or []
        name = self.connection.get_cipher_name() or ""
        return Agreed(self.connection.get_protocol_version_name(), name, tuple(chain))

    async def shake(self) -> None:
        """Until the handshake is over, the first or a later one. Raises `Refused`."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        self.connection.do_handshake()
                    except SSL.WantReadError:
                        await self._flush()
                        await self._fill()
                    else:
                        await self._flush()
                        return
        except TimeoutError:
            raise Refused("no answer") from None
        except (OSError, EOFError) as error:
            raise Refused(str(error) or "closed") from None
        except SSL.Error as error:
            raise Refused(_reason(error)) from None

    async def ask(self, request: bytes) -> bytes:
        """Say something and read until the server ends it, an answer's head is whole, or no more
        comes.
        """
        answer = b""
        with contextlib.suppress(TimeoutError, OSError, EOFError, SSL.Error):
            async with asyncio.timeout(PATIENCE):
                self.connection.sendall(request)
                await self._flush()
                while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER:
                    try:
                        answer += self.connection.recv(16384)
                    except SSL.WantReadError:
                        await self._fill()
        return answer

    async def _flush(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self._writer.write(self.connection.bio_read(16384))
        await self._writer.drain()

    async def _fill(self) -> None:
        data = await self._reader.read(16384)
        if not data:
            raise EOFError("closed")
        self.connection.bio_write(data)


@asynccontextmanager
async def plain(door: Door) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection. Raises `Blocked` when there is none."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(door.host, door.port, limit=MAX_ANSWER)
    except (OSError, TimeoutError) as error:
        raise Blocked(f"no TCP connection: {error}") from None
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


@asynccontextmanager
async def link(
    door: Door,
    *,
    lowest: int = TLS_1_0,
    highest: int = TLS_1_3,
    suites: str = EVERY_SUITE,
    suites_1_3: str = "",
) -> AsyncIterator[TlsLink]:
    """A handshake within these versions and suites (OpenSSL's lists). Raises `Refused`, and
    `Untested` where this OpenSSL cannot offer that.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(lowest)
    context.set_max_proto_version(highest)
    try:
        context.set_cipher_list(suites.encode())
        if suites_1_3:
            context.set_tls13_ciphersuites(suites_1_3.encode())
    except SSL.Error:
        raise Untested("this build of OpenSSL does not have the suites") from None
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    if not _is_address(door.host):
        connection.set_tlsext_host_name(door.host.encode())  # RFC 6066 section 3 allows names alone
    async with plain(door) as (reader, writer):
        made = TlsLink(connection, reader, writer)
        await made.shake()
        yield made


async def verified(door: Door, trust: ssl.SSLContext) -> ssl.SSLCertVerificationError | None:
    """What `trust` finds wrong with the server's certificate. Raises `Refused`."""
    try:
        async with asyncio.timeout(PATIENCE):
            _reader, writer = await asyncio.open_connection(
                door.host, door.port, ssl=trust, server_hostname=door.host
            )
    except ssl.SSLCertVerificationError as error:
        return error
    except TimeoutError:
        raise Refused("no answer") from None
    except OSError as error:
        raise Refused(str(error)) from None
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    return None


def names_mismatch(error: ssl.SSLCertVerificationError) -> bool:
    """The certificate is another host's."""
    return error.verify_code in (HOSTNAME_MISMATCH, _ADDRESS_MISMATCH)


def trusting(chain: tuple[x509.Certificate, ...]) -> ssl.SSLContext:
    """A context that takes this chain for good, so that only names and dates can be wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(
        cadata="".join(one.public_bytes(Encoding.PEM).decode() for one in chain)
    )
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_ciphers(EVERY_SUITE)
    return context


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _reason(error: SSL.Error) -> str:
    reasons = [str(one[-1]) for one in error.args[0]] if error.args else []
    why = next((reason for reason in reasons if reason), "closed")
    if "no ciphers available" in why or "no protocols available" in why:
        raise Untested(f"this build of OpenSSL cannot offer it ({why})")
    return why
