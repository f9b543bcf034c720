"""One peer's transport: from a description to keys in the relay, and to its end."""

from __future__ import annotations

import asyncio

import pytest

from sfu.commands import (
    ClosePeer,
    InstallKeys,
    OpenPeer,
    SendDtls,
    SetNotAfter,
    SetRemoteIce,
)
from sfu.errors import SdpError
from sfu.events import Channel, Dtls
from sfu.handshakes import PATIENCE
from sfu.negotiation import Announced
from sfu.peer import Role
from sfu.transport import TransportState
from tests.unit.sfu.dtls_client import NO_EXTENDED_MASTER_SECRET, Client
from tests.unit.sfu.fake_relay import Stage
from tests.unit.sfu.sections import AUDIO_OUT, DATA, offer

MIC = [Announced("TR_mic", "mic", "audio")]


async def test_a_peer_opens_its_place_with_unguessable_credentials(stage: Stage) -> None:
    first, second = stage.open(), stage.open()
    assert len(first.opened.ufrag) * 4 == 64
    assert len(first.opened.password) * 4 == 128
    assert first.opened.ufrag != second.opened.ufrag
    assert first.opened.password != second.opened.password
    assert first.peer.number != second.peer.number
    assert first.opened.password not in repr(first.opened)


async def test_a_description_and_a_handshake_put_keys_into_the_relay(stage: Stage) -> None:
    one = stage.open()
    answered = one.peer.answer(one.offer(AUDIO_OUT), MIC)
    assert f"a=ice-ufrag:{one.opened.ufrag}" in answered.sdp
    assert "a=setup:passive" in answered.sdp
    assert "192.0.2.1 7882 typ host" in answered.sdp
    assert stage.relay.take(SetRemoteIce) == [
        SetRemoteIce(peer=one.peer.number, ufrag="abcd", password="0123456789abcdefghijkl")
    ]
    assert one.peer.report().state is TransportState.CONNECTING

    await one.shake()
    assert one.heard.connected == 1
    (keys,) = stage.relay.take(InstallKeys)
    material = one.client.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (16 + 12))
    assert keys.profile == "AEAD_AES_128_GCM"
    assert keys.remote_key + keys.local_key + keys.remote_salt + keys.local_salt == material
    report = one.peer.report()
    assert report.state is TransportState.CONNECTED
    assert report.policy == "standard"
    assert report.facts is not None
    assert report.facts.remote_fingerprint == one.client.fingerprint()
    counters = stage.plane.counters()
    assert counters.handshakes == {"connected": 1}
    suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert counters.negotiated == {(suite, "AEAD_AES_128_GCM"): 1}


async def test_a_refused_handshake_fails_its_peer_alone(stage: Stage) -> None:
    good, bad = stage.open(), stage.open()
    bad.client = Client(options=NO_EXTENDED_MASTER_SECRET)
    good.peer.answer(good.offer(AUDIO_OUT), MIC)
    bad.peer.answer(bad.offer(DATA), [])
    await bad.shake()
    assert bad.heard.failures == ["dtls_no_extended_master_secret"]
    assert "alert" in bad.client.error
    assert bad.peer.report().failure == "dtls_no_extended_master_secret"
    assert stage.relay.take(ClosePeer) == [ClosePeer(peer=bad.peer.number)]
    assert stage.relay.take(InstallKeys) == []
    await good.shake()
    assert good.heard.connected == 1
    assert good.heard.failures == []
    assert stage.plane.counters().handshakes == {
        "connected": 1,
        "dtls_no_extended_master_secret": 1,
    }


async def test_datagrams_before_the_description_are_dropped(stage: Stage) -> None:
    one = stage.open()
    await one.shake()
    assert not one.client.done
    assert stage.relay.take(SendDtls) == []
    one.client = Client()
    one.peer.answer(one.offer(DATA), [])
    await one.shake()
    assert one.heard.connected == 1


async def test_a_client_that_never_comes_is_given_up() -> None:
    stage = Stage(handshake_seconds=0.01)
    await stage.plane.start()
    one = stage.open()
    one.peer.answer(one.offer(DATA), [])
    await asyncio.sleep(0.03)
    await stage.settle()
    assert one.heard.failures == ["dtls_timeout"]
    await stage.plane.close()


async def test_handshakes_in_flight_are_bounded_and_the_next_waits_its_turn() -> None:
    stage = Stage(max_handshakes=1)
    await stage.plane.start()
    first, second = stage.open(), stage.open()
    for one in (first, second):
        one.peer.answer(one.offer(DATA), [])
    stage.relay.push(Dtls(first.peer.number, first.client.step()[0]))
    await stage.settle()
    (hello,) = second.client.step()
    stage.relay.push(Dtls(second.peer.number, hello))
    await stage.settle()
    assert {sent.peer for sent in stage.relay.take(SendDtls)} == {first.peer.number}
    assert stage.plane.counters().counters["dtls_deferred"] == 1

    first.peer.close()
    stage.relay.take(SendDtls)
    stage.relay.push(Dtls(second.peer.number, hello))  # as the client's timer does
    await stage.settle()
    assert {sent.peer for sent in stage.relay.take(SendDtls)} == {second.peer.number}
    assert stage.plane.counters().handshakes == {"closed": 1}
    await stage.plane.close()


async def test_a_handshake_begun_and_left_gives_its_place_to_whoever_means_it() -> None:
    stage = Stage(max_handshakes=1)
    await stage.plane.start()
    left, early, honest = stage.open(), stage.open(), stage.open()
    for one in (left, early, honest):
        one.peer.answer(one.offer(DATA), [])
    stage.relay.push(Dtls(left.peer.number, left.client.step()[0]))
    await stage.settle()
    stage.now += PATIENCE - 0.01
    await early.shake()
    assert not early.client.done
    assert left.heard.failures == []

    stage.now += 0.01
    await honest.shake()
    assert honest.heard.connected == 1
    assert left.heard.failures == ["dtls_crowded_out"]
    assert stage.plane.counters().handshakes == {"connected": 1, "dtls_crowded_out": 1}
    await stage.plane.close()


async def test_a_client_that_says_nothing_costs_no_openssl_connection() -> None:
    stage = Stage()
    await stage.plane.start()
    silent, spoken = stage.open(), stage.open()
    for one in (silent, spoken):
        one.peer.answer(one.offer(DATA), [])
    stage.relay.push(Dtls(spoken.peer.number, spoken.client.step()[0]))
    await stage.settle()
    assert spoken.peer._transport._dtls._ssl is not None
    assert silent.peer._transport._dtls._ssl is None
    silent.peer.close()
    await stage.settle()
    assert silent.peer._transport._dtls._ssl is None
    await stage.plane.close()


async def test_running_calls_keep_their_certificate_when_it_rotates(stage: Stage) -> None:
    before = stage.open()
    before.peer.answer(before.offer(DATA), [])
    await before.shake()
    first = before.peer.report().facts
    stage.now += 24 * 3600
    after = stage.open()
    answered = after.peer.answer(after.offer(DATA), []).sdp
    await after.shake()
    second = after.peer.report().facts
    assert first is not None
    assert second is not None
    assert second.local_fingerprint != first.local_fingerprint
    assert second.local_fingerprint.value in answered
    # A new description in the running call names the certificate it began with.
    again = before.peer.answer(before.offer(DATA), []).sdp
    assert first.local_fingerprint.value in again
    assert before.heard.failures == []
    assert before.peer.report().state is TransportState.CONNECTED


async def test_a_client_cannot_change_its_certificate(stage: Stage) -> None:
    one = stage.open()
    one.peer.answer(one.offer(AUDIO_OUT), MIC)
    await one.shake()
    one.peer.answer(offer(Client(), AUDIO_OUT), [])
    await stage.settle()
    assert one.heard.failures == ["dtls_fingerprint_changed"]


async def test_new_ice_credentials_reach_the_relay(stage: Stage) -> None:
    one = stage.open()
    one.peer.answer(one.offer(AUDIO_OUT), MIC)
    one.peer.answer(one.offer(AUDIO_OUT), [])
    one.peer.answer(one.offer(AUDIO_OUT, ufrag="wxyz"), [])
    assert [ice.ufrag for ice in stage.relay.take(SetRemoteIce)] == ["abcd", "wxyz"]


async def test_a_client_that_closes_its_transport(stage: Stage) -> None:
    one = stage.open()
    one.peer.answer(one.offer(AUDIO_OUT), MIC)
    await one.shake()
    one.client.connection.shutdown()
    for datagram in one.client.step():
        stage.relay.push(Dtls(one.peer.number, datagram))
    await stage.settle()
    assert one.heard.failures == ["transport_closed"]


async def test_closing_says_goodbye_first_and_tells_nobody(stage: Stage) -> None:
    one = stage.open()
    one.peer.answer(one.offer(AUDIO_OUT), MIC)
    await one.shake()
    stage.relay.commands.clear()
    one.peer.close()
    one.peer.close()
    goodbye, closed = stage.relay.commands
    assert isinstance(goodbye, SendDtls)
    assert one.client.read(goodbye.datagrams) == "closed"
    assert closed == ClosePeer(peer=one.peer.number)
    await stage.settle()
    assert one.heard.failures == []
    assert one.peer.report().state is TransportState.CLOSED


async def test_nothing_is_told_of_a_peer_closed_meanwhile(stage: Stage) -> None:
    one = stage.open()
    one.peer.fail("consent_lost", "Gone.")
    one.peer.close()
    await stage.settle()
    assert one.heard.failures == []


async def test_a_failed_peer_takes_calls_and_does_nothing(stage: Stage) -> None:
    one = stage.open()
    one.peer.answer(one.offer(AUDIO_OUT), MIC)
    one.peer.fail("consent_lost", "Gone.")
    one.peer.fail("other", "Told once.")
    await stage.settle()
    assert one.heard.failures == ["consent_lost"]
    stage.relay.commands.clear()
    one.peer.set_not_after(3)
    one.peer.set_muted("TR_mic", True)
    one.peer.unpublish("TR_mic")
    one.peer.subscribe("TR_other", "x|y")
    one.peer.unsubscribe("TR_other")
    assert not one.peer.send_data(Channel.LOSSY, b"x")
    assert not one.peer.needs_negotiation()
    assert stage.relay.commands == []


async def test_an_illegal_step_of_the_transport_raises(stage: Stage) -> None:
    one = stage.open()
    one.peer.close()
    with pytest.raises(RuntimeError, match="closed to connecting"):
        one.peer._transport._become(TransportState.CONNECTING)


async def test_a_refused_description_changes_nothing(stage: Stage) -> None:
    one = stage.open()
    with pytest.raises(SdpError):
        one.peer.answer("v=0\r\n", MIC)
    assert one.peer.report().state is TransportState.NEW
    assert stage.relay.take(SetRemoteIce) == []
    one.peer.answer(one.offer(AUDIO_OUT), MIC)
    assert one.peer.report().state is TransportState.CONNECTING


async def test_authority_has_an_end_that_the_relay_keeps(stage: Stage) -> None:
    one = stage.open()
    one.peer.set_not_after(12.5)
    one.peer.set_not_after(None)
    assert [limit.seconds_from_now for limit in stage.relay.take(SetNotAfter)] == [12.5, None]


async def test_offers_and_answers_belong_to_their_roles(stage: Stage) -> None:
    with pytest.raises(RuntimeError):
        stage.open(Role.SUBSCRIBER).peer.answer("", [])
    with pytest.raises(RuntimeError):
        stage.open(Role.SINGLE).peer.offer()
    assert stage.relay.take(OpenPeer) == []
