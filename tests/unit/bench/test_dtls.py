"""The generator's handshake against OpenSSL as server, and keys that fit both ways."""

from __future__ import annotations

import contextlib

import pytest
from OpenSSL import SSL

from bench.loadgen.dtls import PROFILES, SUITES, Handshake, HandshakeError, Identity


def _server(identity: Identity) -> SSL.Connection:
    connection = SSL.Connection(identity.context, None)
    connection.set_accept_state()
    connection.set_ciphertext_mtu(1200)
    return connection


def _shake(client: Handshake, server: SSL.Connection) -> None:
    outgoing = client.step()
    for _ in range(10):
        for datagram in outgoing:
            assert len(datagram) <= 1200
            server.bio_write(datagram)
        with contextlib.suppress(SSL.WantReadError):
            server.do_handshake()
        try:
            outgoing = client.step(server.bio_read(65536))
        except SSL.WantReadError:
            outgoing = []
        if client.keys is not None:
            return


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_each_suite_and_profile_yields_keys(suite: str, profile: str) -> None:
    identity = Identity(PROFILES[profile], suite)
    server = _server(identity)
    client = Handshake(identity, {"sha-256": identity.fingerprint})
    _shake(client, server)
    assert client.keys is not None
    assert server.get_cipher_name() == suite
    packet = bytes.fromhex("806f000100000001000000070102030405060708")
    assert len(client.keys.outbound.protect(packet)) > len(packet)


def test_a_server_with_another_certificate_is_refused() -> None:
    identity = Identity(PROFILES["gcm"], SUITES[0])
    client = Handshake(identity, {"sha-256": "00:" * 31 + "00"})
    with pytest.raises(HandshakeError, match="announced"):
        _shake(client, _server(identity))
