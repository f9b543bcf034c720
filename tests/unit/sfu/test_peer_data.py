"""Data channels through a whole peer, with aiortc's DTLS and SCTP as the client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from sfu.commands import (
    SendDtls,
)
from sfu.dtls import DatagramPipe
from sfu.events import Channel, Dtls
from sfu.negotiation import Announced
from sfu.peer import Role
from sfu.sdp import Fingerprint
from sfu.transport import TransportState
from tests.unit.sfu.fake_relay import Participant, Stage
from tests.unit.sfu.sections import AUDIO_OUT, DATA, offer

MIC = [Announced("TR_mic", "mic", "audio")]


class AiortcClient:
    """aiortc's DTLS and SCTP as the client of a peer, over the fake relay."""

    def __init__(self, one: Participant) -> None:
        self.one = one
        self.pipe = DatagramPipe(self._sent)
        pipe: Any = self.pipe  # stands for an ICE transport
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls = RTCDtlsTransport(pipe, [self.certificate])
        self.dtls._set_role("client")
        self.sctp = RTCSctpTransport(self.dtls)
        self.received: list[tuple[str, bytes]] = []
        self.sctp.on("datachannel", self._listen)

    def fingerprint(self) -> Fingerprint:
        (first, *_) = self.certificate.getFingerprints()
        return Fingerprint(first.algorithm, first.value)

    def _sent(self, datagrams: Sequence[bytes]) -> None:
        for datagram in datagrams:
            self.one.stage.relay.push(Dtls(self.one.peer.number, datagram))

    def _listen(self, channel: RTCDataChannel) -> None:
        channel.on("message", lambda payload: self.received.append((channel.label, payload)))

    def open(self, label: str, **parameters: Any) -> RTCDataChannel:
        channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label, **parameters))
        self._listen(channel)
        return channel

    async def run(self) -> None:
        for _ in range(10):
            await self.one.stage.settle()
            for sent in self.one.stage.relay.take(SendDtls):
                for datagram in sent.datagrams:
                    self.pipe.deliver(datagram)

    async def connect(self) -> None:
        (ours,) = self.one.peer._transport.certificate.fingerprints
        parameters = RTCDtlsParameters([RTCDtlsFingerprint(ours.algorithm, ours.value)])
        starting = asyncio.ensure_future(self.dtls.start(parameters))
        await self.run()
        await starting
        await self.sctp.start(RTCSctpCapabilities(65536), 5000)
        await self.run()

    async def close(self) -> None:
        await self.sctp.stop()
        await self.dtls.stop()


async def test_the_clients_channels_carry_data_both_ways(stage: Stage) -> None:
    one = stage.open()
    client = AiortcClient(one)
    one.peer.answer(offer(client, DATA), [])
    await client.connect()
    reliable = client.open("_reliable")
    client.open("_data_track")
    await client.run()
    assert one.heard.channels_open == 0
    assert not one.peer.send_data(Channel.LOSSY, b"not open yet")
    lossy = client.open("_lossy", ordered=False, maxRetransmits=0)
    await client.run()
    assert one.heard.channels_open == 1
    reliable.send(b"one")
    lossy.send(b"two")
    assert one.peer.send_data(Channel.RELIABLE, b"three")
    assert one.peer.send_data(Channel.LOSSY, b"four")
    await client.run()
    assert one.heard.data == [(Channel.RELIABLE, b"one"), (Channel.LOSSY, b"two")]
    assert client.received == [("_reliable", b"three"), ("_lossy", b"four")]
    await client.close()


async def test_the_longest_message_fits_the_transports_records(stage: Stage) -> None:
    one = stage.open()
    client = AiortcClient(one)
    one.peer.answer(offer(client, DATA), [])
    await client.connect()
    channel = client.open("_reliable")
    await client.run()
    longest = b"0123456789abcde" * 4369
    assert len(longest) == 65535
    channel.send(longest)
    assert one.peer.send_data(Channel.RELIABLE, longest)
    for _ in range(10):
        await client.run()
    assert one.heard.data == [(Channel.RELIABLE, longest)]
    assert client.received == [("_reliable", longest)]
    await client.close()


async def test_a_subscribers_channels_are_ours_to_open(stage: Stage) -> None:
    one = stage.open(Role.SUBSCRIBER)
    client = AiortcClient(one)
    one.peer.offer()
    one.peer.accept_answer(offer(client, DATA, answer=True))
    await client.connect()
    assert one.heard.channels_open == 1
    assert one.peer.send_data(Channel.RELIABLE, b"news")
    await client.run()
    assert client.received == [("_reliable", b"news")]
    await client.close()


async def test_a_data_section_that_comes_later_opens_then(stage: Stage) -> None:
    one = stage.open()
    client = AiortcClient(one)
    one.peer.answer(offer(client, AUDIO_OUT), MIC)
    await client.connect()
    one.peer.answer(offer(client, AUDIO_OUT, DATA), [])
    client.open("_reliable")
    client.open("_lossy")
    await client.run()
    assert one.heard.channels_open == 1
    await client.close()


async def test_a_client_that_takes_no_reliable_data_fails(stage: Stage) -> None:
    one = stage.open()
    client = AiortcClient(one)
    one.peer.answer(offer(client, DATA), [])
    await client.connect()
    client.open("_reliable")
    await client.run()
    while one.peer.send_data(Channel.RELIABLE, b"x" * 60_000):
        pass
    assert one.heard.failures == []  # never from within a call
    await stage.settle()
    assert one.heard.failures == ["data_backlog"]
    await client.close()


async def test_a_client_that_breaks_sctp_fails_and_the_room_does_not_notice(stage: Stage) -> None:
    good, bad = stage.open(), stage.open()
    for one in (good, bad):
        one.peer.answer(one.offer(DATA), [])
        await one.shake()
    # INIT whose parameter has length 0, on which the engine left alone would loop for ever.
    bad.client.connection.send(b"\0" * 12 + bytes.fromhex("04000008" + "00010000"))
    for datagram in bad.client.step():
        stage.relay.push(Dtls(bad.peer.number, datagram))
    await stage.settle()
    assert bad.heard.failures == ["data_protocol"]
    assert good.heard.failures == []
    assert good.peer.report().state is TransportState.CONNECTED
