"""What OpenSSL answers is read as it is; what no server may send raises `Malformed` alone."""

from __future__ import annotations

import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sfu.probe.crafter import codes, extensions
from sfu.probe.crafter.answers import (
    RETRY_RANDOM,
    CertificateChain,
    CertificateRequest,
    ServerHello,
    ServerKeyExchange,
)
from sfu.probe.crafter.flight import MAX_MESSAGE, Flight
from sfu.probe.crafter.fragments import Fragment, cut, datagrams, told
from sfu.probe.crafter.hello import dtls12
from sfu.probe.crafter.records import Record
from sfu.probe.crafter.vectors import Malformed, numbers, vector
from tests.unit.sfu.probe.crafter.openssl_server import OpenSslServer


def read(sent: list[bytes]) -> Flight:
    flight = Flight()
    for datagram in sent:
        flight.feed(datagram)
    return flight


@pytest.mark.parametrize("mtu", [256, 1200])
def test_the_whole_flight_of_openssl_is_read(mtu: int) -> None:
    server = OpenSslServer(mtu=mtu)
    flight = read(server.answer(told(dtls12().body())))
    hello, chain, exchange, request = flight.answers
    assert isinstance(hello, ServerHello)
    assert (hello.version, hello.suite, hello.compression) == (codes.DTLS_1_2, 0xC02B, 0)
    assert hello.srtp is not None
    assert hello.srtp.mki == b""
    assert isinstance(chain, CertificateChain)
    assert chain.certificates == (server.certificate.public_bytes(Encoding.DER),)
    assert x509.load_der_x509_certificate(chain.certificates[0]) == server.certificate
    assert isinstance(exchange, ServerKeyExchange)
    assert (exchange.group, exchange.scheme) == (codes.X25519, codes.ECDSA_P256_SHA256)
    assert len(exchange.public) == 32
    assert isinstance(request, CertificateRequest)
    assert codes.ECDSA_P256_SHA256 in request.schemes
    assert flight.done
    assert not flight.encrypted


def test_the_flight_is_read_in_any_order_and_twice() -> None:
    for seed in range(5):
        sent = OpenSslServer(mtu=256).answer(told(dtls12().body())) * 2
        random.Random(seed).shuffle(sent)
        flight = read(sent)
        assert [type(one).__name__ for one in flight.answers] == [
            "ServerHello",
            "CertificateChain",
            "ServerKeyExchange",
            "CertificateRequest",
        ]


def test_a_flight_that_lacks_a_datagram_is_not_done() -> None:
    sent = OpenSslServer(mtu=256).answer(told(dtls12().body()))
    assert not read(sent[:2] + sent[3:]).done


def server_hello(content: bytes = b"", *, random_bytes: bytes = bytes(32)) -> bytes:
    head = numbers((codes.DTLS_1_2,)) + random_bytes + b"\0" + numbers((0x1301,)) + b"\0"
    return head + vector(content, 2)


def as_datagrams(body: bytes, kind: int = codes.SERVER_HELLO) -> list[bytes]:
    return datagrams(cut(body, 5000, kind=kind))


def test_a_choice_of_dtls_1_3_is_read_from_supported_versions() -> None:
    choice = numbers((codes.SUPPORTED_VERSIONS, 2, codes.DTLS_1_3))
    (hello,) = read(as_datagrams(server_hello(choice))).answers
    assert isinstance(hello, ServerHello)
    assert (hello.version, hello.legacy_version) == (codes.DTLS_1_3, codes.DTLS_1_2)


def test_a_hello_retry_request_is_no_server_hello() -> None:
    asked = extensions.cookie(b"say it")
    content = numbers((asked.kind,)) + vector(asked.content, 2)
    flight = read(as_datagrams(server_hello(content, random_bytes=RETRY_RANDOM)))
    (retry,) = flight.answers
    assert isinstance(retry, ServerHello)
    assert (retry.retry, retry.cookie, flight.hello) == (True, b"say it", None)


def test_an_encrypted_record_of_dtls_1_3_is_noticed_and_left_alone() -> None:
    (datagram,) = as_datagrams(server_hello())
    flight = read([datagram + b"\x2f" + bytes(40)])
    assert len(flight.answers) == 1
    assert flight.encrypted


MALFORMED = {
    "a record cut short": [b"\x16\xfe\xfd" + bytes(8) + b"\0\x40" + bytes(10)],
    "half a header": [b"\x16\xfe\xfd"],
    "no DTLS": [b"\x16\x03\x03" + bytes(8) + b"\0\0"],
    "a record longer than DTLS has": [b"\x16\xfe\xfd" + bytes(8) + b"\xff\xff" + bytes(65535)],
    "half an alert": [bytes(Record(codes.ALERT, b"\2"))],
    "an alert of level 9": [bytes(Record(codes.ALERT, b"\x09\x28"))],
    "a fragment outside": datagrams([Fragment(2, 4, 3, b"abc")]),
    "a message of 16 MB": datagrams([Fragment(2, MAX_MESSAGE + 1, 0, b"abc")]),
    "message 60000": datagrams([Fragment(2, 4, 0, b"abcd", message=60000)]),
    "fragments of two lengths": datagrams([Fragment(2, 9, 0, b"abc"), Fragment(2, 8, 0, b"abc")]),
    "fragments that differ": datagrams([Fragment(2, 9, 0, b"abc"), Fragment(2, 9, 1, b"xx")]),
    "an empty ServerHello": as_datagrams(b""),
    "a ServerHello that goes on": as_datagrams(server_hello() + b"x"),
    "an extension twice": as_datagrams(server_hello(numbers((5, 0, 5, 0)))),
    "an extension that lies": as_datagrams(server_hello(numbers((5, 9)))),
    "explicit curves": as_datagrams(b"\1" + bytes(40), codes.SERVER_KEY_EXCHANGE),
    "half a signature": as_datagrams(b"\3\0\x1d\1x\4\3\0\x09a", codes.SERVER_KEY_EXCHANGE),
    "a chain that lies": as_datagrams(b"\0\0\x04\0\0\x09a", codes.CERTIFICATE),
    "an odd list of schemes": as_datagrams(b"\1\1\0\3\4\3\4\0\0", codes.CERTIFICATE_REQUEST),
    "half a cookie": as_datagrams(b"\xfe\xfd\x10a", codes.HELLO_VERIFY_REQUEST),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_no_server_may_send_raises_one_error(what: str) -> None:
    with pytest.raises(Malformed) as raised:
        read(MALFORMED[what])
    assert raised.value.code
    assert str(raised.value).endswith(".")


def test_a_choice_of_two_srtp_profiles_is_malformed() -> None:
    two = extensions.use_srtp(1, 7)
    content = numbers((two.kind,)) + vector(two.content, 2)
    (hello,) = read(as_datagrams(server_hello(content))).answers
    assert isinstance(hello, ServerHello)
    with pytest.raises(Malformed):
        _ = hello.srtp


_HONEST = OpenSslServer(mtu=512).answer(told(dtls12().body()))


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_noise_raises_nothing_else(noise: list[bytes]) -> None:
    _feed_all(noise)


@given(st.integers(0, len(_HONEST) - 1), st.integers(0, 600), st.binary(min_size=1, max_size=6))
def test_damage_raises_nothing_else(which: int, at: int, patch: bytes) -> None:
    damaged = list(_HONEST)
    damaged[which] = damaged[which][:at] + patch + damaged[which][at + len(patch) :]
    _feed_all(damaged)


def _feed_all(sent: list[bytes]) -> None:
    flight = Flight()
    try:
        for datagram in sent:
            flight.feed(datagram)
        if flight.hello is not None:
            _ = flight.hello.version, flight.hello.srtp, flight.hello.cookie
    except Malformed:
        pass
