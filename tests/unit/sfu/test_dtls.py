"""The DTLS side of a transport: what it accepts, and what a bad wire does to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sfu.crypto_policy import (
    STANDARD,
    STRICT,
    CryptoPolicy,
)
from sfu.dtls import (
    CertificateRotation,
    HandshakeRefused,
)
from sfu.dtls.pipe import MAX_QUEUED
from sfu.dtls.transport import MTU, datagrams
from tests.unit.sfu.dtls_client import (
    Client,
    rsa_key,
    settle,
)
from tests.unit.sfu.dtls_server import CERTIFICATE, Server, handshake, stock_accepts

# --- what is accepted ----------------------------------------------------------------------------


async def test_a_browser_like_client_gets_the_first_of_everything() -> None:
    server, client = Server(), Client()
    facts = await handshake(server, client)
    assert facts.dtls_version == "DTLS 1.2"
    assert facts.cipher_suite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert facts.group == "X25519"
    assert facts.srtp_profile == "AEAD_AES_128_GCM"
    assert facts.extended_master_secret
    assert facts.remote_fingerprint == client.fingerprint()
    assert facts.local_fingerprint == CERTIFICATE.fingerprints[0]
    assert client.done


async def test_how_a_handshake_went_is_told() -> None:
    server, client = Server(), Client()
    task = asyncio.ensure_future(server.transport.handshake([client.fingerprint()], within=5))
    outgoing = client.step()
    while outgoing:
        for datagram in outgoing:
            server.pipe.deliver(datagram)
        await settle()
        server.now += 0.02
        outgoing = client.step(server.take())
    facts = await task
    assert facts.course.signature == "ecdsa_secp256r1_sha256"
    assert facts.course.peer_signature == "ecdsa_secp256r1_sha256"
    assert facts.course.flights == 4
    assert facts.course.seconds == pytest.approx(0.02)
    assert facts.keyed_at == pytest.approx(100.02)


async def test_what_a_client_of_another_kind_signed_with_is_told() -> None:
    facts = await handshake(Server(), Client(key=rsa_key(2048)))
    assert facts.course.peer_signature == "rsa_pss_rsae_sha256"
    assert facts.course.signature == "ecdsa_secp256r1_sha256"


async def test_both_sides_export_the_same_keys() -> None:
    server, client = Server(), Client()
    await handshake(server, client)
    material = client.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (16 + 12))
    (keys,) = server.keys
    assert keys.remote_key + keys.local_key + keys.remote_salt + keys.local_salt == material
    assert keys.local_key.hex() not in repr(keys)
    assert str(keys.local_key) not in repr(keys)


@pytest.mark.parametrize("policy", [STANDARD, STRICT], ids=lambda policy: policy.name)
async def test_our_order_of_srtp_profiles_decides_and_not_the_clients(policy: CryptoPolicy) -> None:
    # Chromium's own order: the server that follows it ends up with SHA1_80.
    client = Client(profiles="SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM")
    facts = await handshake(Server(policy), client)
    assert facts.srtp_profile == "AEAD_AES_128_GCM"


async def test_our_order_of_suites_decides_and_not_the_clients() -> None:
    client = Client(suites="ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-GCM-SHA256")
    facts = await handshake(Server(), client)
    assert facts.cipher_suite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


async def test_each_pair_of_suite_and_profile_can_be_negotiated() -> None:
    for suite in STANDARD.suites:
        for profile in STANDARD.srtp_profiles:
            policy = replace(STANDARD, suites=(suite,), srtp_profiles=(profile,))
            server = Server(policy)
            facts = await handshake(server, Client())
            assert (facts.cipher_suite, facts.srtp_profile) == (suite.iana, profile.iana)
            assert len(server.keys[0].local_salt) == profile.salt_length


async def test_a_client_that_prefers_a_refused_group_gets_one_of_ours() -> None:
    assert await stock_accepts(Client(groups="X448:P-256"))
    facts = await handshake(Server(), Client(groups="X448:P-521:P-256"))
    assert facts.group == "P-256"


@pytest.mark.parametrize("policy", [STANDARD, STRICT], ids=lambda policy: policy.name)
@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA-2048"])
async def test_the_accepted_kinds_of_certificate(policy: CryptoPolicy, kind: str) -> None:
    curves: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    curve = curves.get(kind)
    client = Client(key=rsa_key(2048) if curve is None else ec.generate_private_key(curve))
    assert (await handshake(Server(policy), client)).remote_fingerprint == client.fingerprint()


async def test_an_expired_certificate_is_as_good_as_its_fingerprint() -> None:
    await handshake(Server(), Client(expired=True))


async def test_a_hello_in_two_datagrams_is_one_hello() -> None:
    # Chromium's and Firefox's do not fit into one.
    server, client = Server(), Client()
    (whole,) = client.step()
    for datagram in in_two_fragments(whole):
        server.pipe.deliver(datagram)
    assert (await handshake(server, client)).group == "X25519"

    client = Client(suites="ECDHE-ECDSA-CHACHA20-POLY1305")
    server = Server()
    (whole,) = client.step()
    for datagram in reversed(in_two_fragments(whole)):
        server.pipe.deliver(datagram)
    with pytest.raises(HandshakeRefused) as caught:
        await handshake(server, client)
    assert caught.value.code == "dtls_no_common_suite"


class Receiver:
    """Stands where SCTP would."""

    def __init__(self, server: Server) -> None:
        self.messages: list[bytes] = []
        server.transport._register_data_receiver(self)

    async def _handle_data(self, message: bytes) -> None:
        self.messages.append(message)


def in_two_fragments(datagram: bytes) -> list[bytes]:
    """The one handshake record of a datagram as two (RFC 6347 section 4.2.3)."""
    message = datagram[13:]
    kind_and_length, sequence, body = message[:4], message[4:6], message[12:]
    half = len(body) // 2
    cut: list[bytes] = []
    # Record numbers that the client's next flight does not use.
    for number, offset, part in ((40, 0, body[:half]), (41, half, body[half:])):
        fragment = kind_and_length + sequence
        fragment += offset.to_bytes(3, "big") + len(part).to_bytes(3, "big") + part
        header = datagram[:3] + number.to_bytes(8, "big")
        cut.append(header + len(fragment).to_bytes(2, "big") + fragment)
    return cut


# --- hostile and unlucky wires -------------------------------------------------------------------


async def test_garbage_before_and_among_the_flights_changes_nothing() -> None:
    server, client = Server(), Client()
    for junk in (b"", b"\x00" * 20, b"\x80" * 100, b"\x16\xfe\xfd", b"\x16" + b"\xff" * 40):
        server.pipe.deliver(junk)
    assert (await handshake(server, client)).group == "X25519"


async def test_a_flood_is_dropped_at_the_queues_bound() -> None:
    server = Server()
    for _ in range(MAX_QUEUED + 5):
        server.pipe.deliver(b"\x16" * 30)
    assert server.pipe.dropped == 5


async def test_a_lost_last_flight_is_sent_again_when_the_client_repeats_itself() -> None:
    server, client = Server(), Client()
    task = asyncio.ensure_future(server.transport.handshake([client.fingerprint()], within=5))
    server.pipe.deliver(client.step()[0])
    await settle()
    server.pipe.deliver(client.step(server.take())[0])
    await task
    assert server.take(), "the flight that is lost here"
    await asyncio.sleep(1.1)  # the client's OpenSSL reads a clock of its own
    client.connection.DTLSv1_handle_timeout()
    for datagram in client.step():
        server.pipe.deliver(datagram)
    await settle()
    client.step(server.take())
    assert client.done
    assert len(server.keys) == 1


@pytest.mark.parametrize(
    "junk", [b"\x17", b"\x17" * 12, b"\x17" + b"\0" * 30, b"\x17" + b"\xff" * 20]
)
async def test_what_is_no_record_takes_none_with_it(junk: bytes) -> None:
    server, client = Server(), Client()
    await handshake(server, client)
    received = Receiver(server)
    for message in (b"one", b"two", b"three"):
        server.pipe.deliver(client.say(message) + junk)
        server.pipe.deliver(junk)
        await settle()
    assert received.messages == [b"one", b"two", b"three"]


async def test_records_that_share_a_datagram_are_all_read() -> None:
    server, client = Server(), Client()
    await handshake(server, client)
    received = Receiver(server)
    server.pipe.deliver(client.say(b"one") + client.say(b"two") + client.say(b"three"))
    await settle()
    assert received.messages == [b"one", b"two", b"three"]
    last = client.say(b"four")
    client.connection.shutdown()
    (goodbye,) = client.step()
    server.pipe.deliver(last + goodbye)
    await settle()
    assert received.messages[3:] == [b"four"]
    assert server.transport.state == "closed"


async def test_what_nobody_can_read_behind_the_last_flight_delays_nothing() -> None:
    server, client = Server(), Client()
    task = asyncio.ensure_future(server.transport.handshake([client.fingerprint()], within=5))
    server.pipe.deliver(client.step()[0])
    await settle()
    forged = b"\x17\xfe\xfd\0\1" + b"\0" * 5 + b"\x09\0\x20" + b"x" * 32
    server.pipe.deliver(client.step(server.take())[0] + forged)
    await task
    client.step(server.take())
    received = Receiver(server)
    for number, message in enumerate((b"one", b"two"), start=1):
        server.pipe.deliver(client.say(message))
        await settle()
        assert len(received.messages) == number
    assert received.messages == [b"one", b"two"]


async def test_renegotiation_is_not_taken_up() -> None:
    server, client = Server(), Client()
    await handshake(server, client)
    client.connection.renegotiate()
    client.done = False
    for datagram in client.step():
        server.pipe.deliver(datagram)
    await settle()
    answer = server.take()
    client.step(answer)
    assert not client.done
    assert len(server.keys) == 1


async def test_saying_goodbye_closes_both_ways() -> None:
    server, client = Server(), Client()
    await handshake(server, client)
    server.transport.shut()
    assert client.read(server.take()) == "closed"

    server, client = Server(), Client()
    await handshake(server, client)
    client.connection.shutdown()
    for datagram in client.step():
        server.pipe.deliver(datagram)
    await settle()
    assert server.transport.state == "closed"


def test_records_are_packed_into_datagrams_and_never_cut() -> None:
    def record(size: int) -> bytes:
        return b"\x16\xfe\xfd" + b"\0" * 8 + size.to_bytes(2, "big") + b"x" * size

    written = b"".join(record(size) for size in (500, 500, 500, 1500, 10))
    cut = datagrams(written)
    assert b"".join(cut) == written
    assert [len(one) for one in cut] == [1026, 513, 1513, 23]
    assert all(len(one) <= MTU or one == record(1500) for one in cut)
    assert datagrams(b"") == []
    assert datagrams(record(100)[:50]) == [record(100)[:50]]


# --- our certificate -----------------------------------------------------------------------------


def test_the_certificate_rotates_after_a_day_and_running_calls_keep_theirs() -> None:
    now = 1000.0
    rotation = CertificateRotation(lambda: now)
    first = rotation.current()
    now += 24 * 3600 - 1
    assert rotation.current() is first
    assert rotation.age() == 24 * 3600 - 1
    now += 1
    second = rotation.current()
    assert second is not first
    assert second.fingerprints != first.fingerprints
    assert rotation.age() == 0
    assert isinstance(second.key.curve, ec.SECP256R1)
