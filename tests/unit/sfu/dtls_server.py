"""Our DTLS transport with a wire to a client, and stock aiortc's in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)
from OpenSSL import SSL

from sfu.crypto_policy import (
    STANDARD,
    CryptoPolicy,
)
from sfu.dtls import (
    DatagramPipe,
    DtlsTransport,
    HandshakeRefused,
    LocalCertificate,
    SrtpKeys,
    TransportFacts,
)
from sfu.sdp import Fingerprint
from tests.unit.sfu.dtls_client import (
    Client,
    settle,
)

CERTIFICATE = LocalCertificate()


class Server:
    """Our transport with a wire to a client."""

    def __init__(self, policy: CryptoPolicy = STANDARD) -> None:
        self.sent: list[bytes] = []
        self.keys: list[SrtpKeys] = []
        self.pipe = DatagramPipe(self.sent.extend)
        self.now = 100.0
        self.transport = DtlsTransport(
            self.pipe, CERTIFICATE, policy, self.keys.append, clock=lambda: self.now
        )

    def take(self) -> list[bytes]:
        sent, self.sent[:] = list(self.sent), []
        return sent


async def handshake(
    server: Server, client: Client, announced: Sequence[Fingerprint] | None = None
) -> TransportFacts:
    """Run the handshake to its end; raises what the server raises."""
    fingerprints = [client.fingerprint()] if announced is None else announced
    task = asyncio.ensure_future(server.transport.handshake(fingerprints, within=5))
    outgoing = client.step()
    for _ in range(12):
        for datagram in outgoing:
            server.pipe.deliver(datagram)
        await settle()
        outgoing = client.step(server.take())
        if task.done() and not outgoing:
            break
    return await task


async def refused(
    client: Client, policy: CryptoPolicy = STANDARD, announced: Sequence[Fingerprint] | None = None
) -> str:
    """The code the handshake is refused with; no keys came of it and the client noticed."""
    server = Server(policy)
    with pytest.raises(HandshakeRefused) as caught:
        await handshake(server, client, announced)
    assert server.keys == []
    assert not client.done
    assert "alert" in client.error, "the client was not told"
    return caught.value.code


async def stock_accepts(
    client: Client,
    announced: Sequence[Fingerprint] | None = None,
    weaken: Callable[[SSL.Context], None] | None = None,
) -> bool:
    """Whether aiortc, left alone, ends up connected with this client."""

    class Left(RTCCertificate):
        def _create_ssl_context(self, srtp_profiles: Any) -> SSL.Context:
            context = super()._create_ssl_context(srtp_profiles)
            if weaken is not None:
                weaken(context)
            return context

    sent: list[bytes] = []
    pipe: Any = DatagramPipe(sent.extend)  # stands for an ICE transport
    transport = RTCDtlsTransport(pipe, [Left.generateCertificate()])
    transport._set_role("server")
    wanted = [client.fingerprint()] if announced is None else announced
    parameters = RTCDtlsParameters([RTCDtlsFingerprint(f.algorithm, f.value) for f in wanted])
    task = asyncio.ensure_future(transport.start(parameters))
    for _ in range(12):
        outgoing = client.step(list(sent))
        sent.clear()
        for datagram in outgoing:
            pipe.deliver(datagram)
        await settle()
    task.cancel()
    accepted = transport.state == "connected"
    await transport.stop()
    return accepted
