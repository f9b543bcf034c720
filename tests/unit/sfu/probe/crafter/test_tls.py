"""The hello over TCP: OpenSSL takes it, and its answer is read out of the stream."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.probe.crafter.hello import ClientHello
from sfu.probe.crafter.tls import first_answer, hello_record, tls12
from sfu.probe.crafter.vectors import Malformed
from tests.unit.sfu.probe.crafter.openssl_server import self_signed


def answer_to(hello: ClientHello) -> bytes:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    key = ec.generate_private_key(ec.SECP256R1())
    context.use_certificate(self_signed(key))
    context.use_privatekey(key)
    connection = SSL.Connection(context)
    connection.set_accept_state()
    connection.bio_write(hello_record(hello))
    with pytest.raises((SSL.WantReadError, SSL.Error)):
        connection.do_handshake()
    return connection.bio_read(65536)


def test_openssl_answers_the_hello_with_its_only_suite_and_no_compression() -> None:
    received = answer_to(replace(tls12(), suites=(0xC02B,), compressions=b"\1\0"))
    answer = first_answer(received)
    assert answer is not None
    assert (answer.legacy_version, answer.suite, answer.compression) == (0x0303, 0xC02B, 0)


def test_an_answer_is_waited_for_until_it_is_whole() -> None:
    received = answer_to(tls12())
    whole = next(size for size in range(len(received)) if first_answer(received[:size]) is not None)
    assert whole == 5 + int.from_bytes(received[3:5], "big")


def test_an_alert_is_no_answer() -> None:
    assert first_answer(answer_to(replace(tls12(), suites=(0x1301,)))) is None


@pytest.mark.parametrize(
    "received", [b"HTTP/1.1 400 Bad Request", b"\x16\x03\x03\xff\xff", b"\x16\x03\x03\0\4\1\0\0\0"]
)
def test_what_is_no_tls_is_malformed(received: bytes) -> None:
    with pytest.raises(Malformed):
        first_answer(received)


@given(st.binary(max_size=300))
def test_noise_raises_nothing_else(noise: bytes) -> None:
    for received in (noise, b"\x16\x03\x03\0\x80" + noise, b"\x16\x03\x03\0\x30\2\0\0\x2c" + noise):
        try:
            first_answer(received)
        except Malformed:
            continue
