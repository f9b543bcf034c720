"""The media plane in the words of the use cases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from sfu.commands import OpenPeer, SendDtls
from sfu.events import Channel, ConsentLost, Dtls
from sfu.peer import Role
from sfu.transport import TransportState
from signaling.domain.condition import Condition
from signaling.domain.errors import Refusal
from signaling.media import SfuMedia
from signaling.ports import (
    DataChannel,
    MediaKind,
    PeerRole,
    PendingTrack,
    Sections,
    TransportReport,
)
from tests.unit.sfu.dtls_client import Client
from tests.unit.sfu.fake_relay import Stage
from tests.unit.sfu.sections import AUDIO_IN, AUDIO_OUT, offer

MIC = [PendingTrack("TR_mic", "mic", MediaKind.AUDIO)]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(max_peers=2)
    await stage.plane.start()
    yield stage
    await stage.plane.close()


@dataclass
class _Clock:
    stage: Stage

    def now(self) -> float:
        return 1_700_000_000 + self.stage.now

    def monotonic(self) -> float:
        return self.stage.now


class Owner:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_connected(self) -> None:
        self.heard.append("connected")

    def on_failed(self, code: str, sentence: str) -> None:
        self.heard.append(code)

    def on_data(self, channel: DataChannel, payload: bytes) -> None:
        self.heard.append((channel, payload))

    def on_channels_open(self) -> None:
        self.heard.append("open")

    def on_withheld(self, track_id: str, withheld: bool) -> None:
        self.heard.append((track_id, withheld))

    def on_condition(self, condition: Condition) -> None:
        self.heard.append(condition)


async def test_a_call_in_the_words_of_the_ports(stage: Stage) -> None:
    media = SfuMedia(stage.plane, _Clock(stage))
    alice = media.open_peer(PeerRole.SINGLE, Owner(), "garden")
    bob = media.open_peer(PeerRole.SINGLE, Owner(), "garden")
    negotiated = alice.answer(offer(Client(), AUDIO_OUT), MIC)
    (published,) = negotiated.published
    assert (published.track_id, published.mime_type, published.layers) == (
        "TR_mic",
        "audio/opus",
        1,
    )
    bob.subscribe("TR_mic", "PA_alice|TR_mic")
    assert bob.missing_sections() == Sections(audio=1)
    assert bob.answer(offer(Client(), AUDIO_IN), []).mid_to_track == {"0": "TR_mic"}
    assert not bob.needs_negotiation()
    counters = media.counters()
    assert (counters.peers, counters.tracks, counters.downtracks) == (2, 1, 1)
    assert alice.report() == TransportReport(
        role=PeerRole.SINGLE, state="connecting", policy="standard"
    )


async def test_refusals_keep_their_code_and_get_a_status(stage: Stage) -> None:
    media = SfuMedia(stage.plane, _Clock(stage))
    peer = media.open_peer(PeerRole.SINGLE, Owner(), "garden")
    with pytest.raises(Refusal) as malformed:
        peer.answer("v=0\r\n", [])
    assert malformed.value.code.startswith("sdp_")
    assert malformed.value.status == 400
    subscriber = media.open_peer(PeerRole.SUBSCRIBER, Owner(), "garden")
    with pytest.raises(Refusal) as unexpected:
        subscriber.accept_answer("v=0\r\n")
    assert unexpected.value.code == "sdp_unexpected"
    with pytest.raises(Refusal) as full:
        media.open_peer(PeerRole.SINGLE, Owner(), "garden")
    assert (full.value.code, full.value.status) == ("server_full", 503)


async def test_what_was_negotiated_is_reported_and_told(stage: Stage) -> None:
    owner, client = Owner(), Client()
    peer = SfuMedia(stage.plane, _Clock(stage)).open_peer(PeerRole.SINGLE, owner, "garden")
    (number,) = [opened.peer for opened in stage.relay.take(OpenPeer)]
    peer.answer(offer(client, AUDIO_OUT), MIC)
    outgoing = client.step()
    for _ in range(4):
        for datagram in outgoing:
            stage.relay.push(Dtls(number, datagram))
        await stage.settle()
        sent = [datagram for one in stage.relay.take(SendDtls) for datagram in one.datagrams]
        outgoing = client.step(sent)
    assert owner.heard == ["connected"]
    report = peer.report()
    assert (report.state, report.dtls_version, report.group) == ("connected", "DTLS 1.2", "X25519")
    assert report.cipher_suite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert report.srtp_profile == "AEAD_AES_128_GCM"
    assert report.extended_master_secret
    assert report.remote_fingerprint is not None
    assert report.remote_fingerprint.value == client.fingerprint().value
    assert report.local_fingerprint is not None
    assert report.local_fingerprint.algorithm == "sha-256"
    assert report.signature == report.peer_signature == "ecdsa_secp256r1_sha256"
    assert report.flights == 4
    assert report.handshake_ms is not None
    assert report.keyed_at == 1_700_000_000 + stage.now
    stage.now += 60
    assert peer.report() == report, "what was recorded stays"
    stage.relay.push(ConsentLost(number))
    await stage.settle()
    assert owner.heard == ["connected", "consent_lost"]
    assert peer.report().failure == "consent_lost"


async def test_those_of_one_room_are_carried_by_one_worker() -> None:
    stage = Stage(workers=2)
    await stage.plane.start()
    media = SfuMedia(stage.plane, _Clock(stage))
    garden = [media.open_peer(PeerRole.SINGLE, Owner(), "garden") for _ in range(3)]
    kitchen = media.open_peer(PeerRole.SINGLE, Owner(), "kitchen")
    assert [worker.peers for worker in media.counters().workers] == [3, 1]
    for peer in garden:
        peer.close()
    for _ in range(2):
        media.open_peer(PeerRole.SINGLE, Owner(), "attic")
    media.open_peer(PeerRole.SINGLE, Owner(), "garden")  # an empty room was nowhere
    assert [worker.peers for worker in media.counters().workers] == [2, 2]
    kitchen.close()
    kitchen.close()
    assert [worker.peers for worker in media.counters().workers] == [2, 1]
    await stage.plane.close()


def test_both_sides_name_roles_channels_and_states_alike() -> None:
    assert [role.value for role in PeerRole] == [role.value for role in Role]
    assert [channel.value for channel in DataChannel] == [channel.value for channel in Channel]
    assert {state.value for state in TransportState} == {
        "new",
        "connecting",
        "connected",
        "failed",
        "closed",
    }
