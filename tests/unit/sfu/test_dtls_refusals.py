"""What the DTLS side of a transport refuses, and what it says then.

Each refusal first shows that stock aiortc (or OpenSSL without the pin) lets the same client in.
"""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from OpenSSL import SSL

from sfu.crypto_policy import (
    AES128_CM_HMAC_SHA1_80,
    ECDHE_ECDSA_AES_256_CBC,
    STANDARD,
    STRICT,
)
from sfu.dtls import (
    HandshakeRefused,
)
from tests.unit.sfu.dtls_client import (
    DTLS_1_0,
    NO_EXTENDED_MASTER_SECRET,
    Client,
    rsa_key,
    self_signed,
    settle,
)
from tests.unit.sfu.dtls_server import Server, handshake, refused, stock_accepts


async def test_a_client_with_only_a_refused_suite() -> None:
    def client() -> Client:
        return Client(suites="ECDHE-ECDSA-CHACHA20-POLY1305")

    assert await stock_accepts(client())
    assert await refused(client()) == "dtls_no_common_suite"


async def test_a_client_with_only_cbc_under_strict() -> None:
    await handshake(Server(STANDARD), Client(suites=ECDHE_ECDSA_AES_256_CBC.openssl))
    client = Client(suites=ECDHE_ECDSA_AES_256_CBC.openssl)
    assert await refused(client, STRICT) == "dtls_no_common_suite"


async def test_a_client_with_only_refused_groups() -> None:
    def client() -> Client:
        # With an RSA certificate, whose use no group limits.
        suites = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"
        return Client(groups="P-521:X448", suites=suites, key=rsa_key(2048))

    def rsa_server(context: SSL.Context) -> None:
        # With an ECDSA certificate OpenSSL wants the client to know its curve too.
        key = rsa_key(2048)
        context.use_certificate(self_signed(key))
        context.use_privatekey(key)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")

    assert await stock_accepts(client(), weaken=rsa_server)
    assert await refused(client()) == "dtls_no_common_group"


async def test_a_client_without_the_extended_master_secret() -> None:
    def client() -> Client:
        return Client(options=NO_EXTENDED_MASTER_SECRET)

    assert await stock_accepts(client())
    assert await refused(client()) == "dtls_no_extended_master_secret"


async def test_a_client_without_the_extended_master_secret_whose_hello_was_not_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenSSL's own account has the last word, and our last flight never leaves."""
    monkeypatch.setattr("sfu.dtls.hello.HelloReader.feed", lambda *_: None)
    server, client = Server(), Client(options=NO_EXTENDED_MASTER_SECRET)
    with pytest.raises(HandshakeRefused) as caught:
        await handshake(server, client)
    assert caught.value.code == "dtls_no_extended_master_secret"
    assert not client.done
    assert server.keys == []


@pytest.mark.parametrize(
    "profiles", [None, "SRTP_AEAD_AES_256_GCM", "SRTP_AES128_CM_SHA1_32"], ids=str
)
async def test_a_client_with_no_srtp_profile_of_ours(profiles: str | None) -> None:
    if profiles == "SRTP_AEAD_AES_256_GCM":
        assert await stock_accepts(Client(profiles=profiles))
    assert await refused(Client(profiles=profiles)) == "dtls_no_srtp_profile"


async def test_a_client_with_only_sha1_80_under_strict() -> None:
    await handshake(Server(STANDARD), Client(profiles=AES128_CM_HMAC_SHA1_80.openssl))
    client = Client(profiles=AES128_CM_HMAC_SHA1_80.openssl)
    assert await refused(client, STRICT) == "dtls_no_srtp_profile"


async def test_a_client_of_dtls_1_0() -> None:
    def client() -> Client:
        return Client(version=DTLS_1_0, suites="ECDHE-ECDSA-AES256-SHA")

    def allow_old(context: SSL.Context) -> None:
        context.set_cipher_list(b"ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")

    assert await stock_accepts(client(), weaken=allow_old)
    assert await refused(client()) == "dtls_version"


async def test_a_client_without_a_certificate() -> None:
    assert await refused(Client(certificate=False)) == "dtls_certificate_missing"


@pytest.mark.parametrize("kind", ["RSA-1024", "P-521"])
async def test_a_client_with_a_weak_or_odd_certificate(kind: str) -> None:
    def client() -> Client:
        if kind == "RSA-1024":
            return Client(key=rsa_key(1024))
        return Client(key=ec.generate_private_key(ec.SECP521R1()), groups="X25519:P-256:P-521")

    assert await stock_accepts(client())
    assert await refused(client()) == "dtls_certificate_weak"


async def test_a_client_with_an_ed25519_certificate() -> None:
    # Not a signature scheme of ours, so the client finds that it has nothing to sign with.
    client = Client(key=ed25519.Ed25519PrivateKey.generate())
    assert await refused(client) in {"dtls_certificate_missing", "dtls_certificate_weak"}


async def test_a_certificate_that_is_not_the_announced_one() -> None:
    other = Client().fingerprint()
    assert await refused(Client(), announced=[other]) == "dtls_fingerprint_mismatch"


async def test_every_strong_fingerprint_must_match() -> None:
    client = Client()
    announced = [client.fingerprint(), Client().fingerprint("sha-512")]
    assert await refused(client, announced=announced) == "dtls_fingerprint_mismatch"
    client = Client()
    announced = [client.fingerprint(), client.fingerprint("sha-512")]
    await handshake(Server(), client, announced)


async def test_sha_1_alone_proves_nothing_and_beside_sha_256_is_passed_over() -> None:
    client = Client()
    only = [client.fingerprint("sha-1")]
    assert await refused(client, announced=only) == "dtls_fingerprint_mismatch"
    client = Client()
    await handshake(Server(), client, [Client().fingerprint("sha-1"), client.fingerprint()])


async def test_a_client_that_never_comes() -> None:
    server = Server()
    with pytest.raises(HandshakeRefused) as caught:
        await server.transport.handshake([Client().fingerprint()], within=0)
    assert caught.value.code == "dtls_timeout"


async def test_a_client_that_gives_up_with_an_alert() -> None:
    server = Server()
    task = asyncio.ensure_future(server.transport.handshake([Client().fingerprint()], within=5))
    await settle()
    # A fatal handshake_failure in the clear (RFC 5246 section 7.2), epoch 0, first record.
    server.pipe.deliver(bytes.fromhex("15fefd00000000000000000002" + "0228"))
    await settle()
    with pytest.raises(HandshakeRefused) as caught:
        await task
    assert caught.value.code == "dtls_peer_alert"


async def test_closing_in_the_middle_of_a_handshake() -> None:
    server, client = Server(), Client()
    task = asyncio.ensure_future(server.transport.handshake([client.fingerprint()], within=5))
    server.pipe.deliver(client.step()[0])
    await settle()
    server.transport.shut()
    server.transport.shut()
    with pytest.raises(HandshakeRefused) as caught:
        await task
    assert caught.value.code == "dtls_closed"
