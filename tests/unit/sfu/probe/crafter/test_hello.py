"""OpenSSL, which shares nothing with the crafter, takes its hellos for what they say."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sfu.probe.crafter import codes, extensions
from sfu.probe.crafter.flight import Flight
from sfu.probe.crafter.fragments import Fragment, cut, datagrams, missing, told
from sfu.probe.crafter.hello import ClientHello, dtls12, dtls13
from sfu.probe.crafter.odd import ODD
from tests.unit.sfu.probe.crafter.openssl_server import OpenSslServer, suite_of

X25519_SHARE = 32
P256_SHARE = 65


def answered(server: OpenSslServer, sent: list[bytes], flight: Flight | None = None) -> Flight:
    flight = flight or Flight()
    for datagram in server.answer(sent):
        flight.feed(datagram)
    return flight


@pytest.mark.parametrize("suite", [codes.ECDHE_ECDSA_AES_128_GCM, codes.ECDHE_ECDSA_AES_256_CBC])
def test_openssl_answers_a_hello_with_its_only_suite(suite: int) -> None:
    hello = replace(dtls12(), suites=(suite,))
    assert suite_of(OpenSslServer().answer(told(hello.body()))) == suite


@pytest.mark.parametrize(
    ("hello", "alert"),
    [
        (replace(dtls12(), suites=(0x1301,)), "handshake_failure"),
        (replace(dtls12(), version=0xFEFE), "protocol_version"),
        (replace(dtls12(), version=codes.DTLS_1_0), "protocol_version"),
        (dtls12().with_extension(extensions.signature_algorithms(0x0601)), "handshake_failure"),
        (dtls12().with_extension(extensions.supported_groups(0x0019)), "handshake_failure"),
    ],
)
def test_openssl_sees_what_the_hello_lacks(hello: ClientHello, alert: str) -> None:
    flight = answered(OpenSslServer(), told(hello.body()))
    assert flight.hello is None
    assert str(flight.refusal) == alert


@pytest.mark.parametrize("group", [codes.X25519, codes.P_256])
def test_openssl_takes_the_group_that_the_hello_names(group: int) -> None:
    hello = dtls12().with_extension(extensions.supported_groups(group, codes.P_256))
    flight = answered(OpenSslServer(), told(hello.body()))
    assert str(flight.refusal) == "None"
    exchange = flight.answers[2]
    assert getattr(exchange, "group", None) == group


@pytest.mark.parametrize(
    ("profile", "listed"),
    [
        (codes.SRTP_AEAD_AES_128_GCM, (codes.SRTP_NULL_SHA1_80, codes.SRTP_AEAD_AES_128_GCM)),
        (codes.SRTP_AES128_CM_SHA1_80, (codes.SRTP_NULL_SHA1_32, codes.SRTP_AES128_CM_SHA1_80)),
    ],
)
def test_openssl_chooses_a_profile_beside_null(profile: int, listed: tuple[int, ...]) -> None:
    hello = dtls12().with_extension(extensions.use_srtp(*listed))
    server_hello = answered(OpenSslServer(), told(hello.body())).hello
    assert server_hello is not None
    assert server_hello.srtp is not None
    assert server_hello.srtp.profile == profile


def test_extended_master_secret_is_agreed_on_only_when_the_hello_has_it() -> None:
    with_it = answered(OpenSslServer(), told(dtls12().body())).hello
    bare = dtls12().without_extension(codes.EXTENDED_MASTER_SECRET)
    without = answered(OpenSslServer(), told(bare.body())).hello
    assert with_it is not None
    assert without is not None
    assert (with_it.extended_master_secret, without.extended_master_secret) == (True, False)


def test_a_ticket_is_promised_only_to_who_asks_for_it() -> None:
    asking = dtls12().with_extension(extensions.session_ticket())
    promised = answered(OpenSslServer(), told(asking.body())).hello
    silent = answered(OpenSslServer(), told(dtls12().body())).hello
    assert promised is not None
    assert silent is not None
    assert (promised.ticket, silent.ticket) == (True, False)


@pytest.mark.parametrize("post_quantum", [False, True])
def test_a_hello_for_both_versions_gets_1_2_of_an_openssl_without_1_3(post_quantum: bool) -> None:
    sent = told(dtls13(fallback=True, post_quantum=post_quantum).body())
    assert len(sent) == (2 if post_quantum else 1)
    hello = answered(OpenSslServer(), sent).hello
    assert hello is not None
    assert hello.version == codes.DTLS_1_2


@pytest.mark.parametrize("size", [1, 13, 64, 100])
@pytest.mark.parametrize("each", [1, 3])
def test_openssl_puts_fragments_together(size: int, each: int) -> None:
    pieces = cut(dtls12().body(), size)
    flight = answered(OpenSslServer(), datagrams(pieces, each=each))
    assert flight.hello is not None


def test_openssl_puts_fragments_together_in_any_order() -> None:
    for seed in range(5):
        pieces = cut(dtls12().body(), 40)
        random.Random(seed).shuffle(pieces)
        assert answered(OpenSslServer(), datagrams(pieces)).hello is not None


def test_openssl_waits_for_a_missing_fragment() -> None:
    pieces = cut(dtls12().body(), 40)
    flight = answered(OpenSslServer(), datagrams(missing(pieces, 2)))
    assert flight.bytes_received == 0


def test_a_cookie_is_read_and_said_back() -> None:
    server = OpenSslServer(cookie=True)
    hello = dtls12()
    asked = answered(server, told(hello.body()))
    (request,) = asked.answers
    cookie = getattr(request, "cookie", b"")
    assert cookie == b"cookie of the test"
    again = replace(hello, cookie=cookie)
    flight = answered(server, told(again.body(), first=1, message=1), asked)
    assert flight.hello is not None


@pytest.mark.parametrize(
    ("group", "length"),
    [(codes.X25519, X25519_SHARE), (codes.P_256, P256_SHARE), (codes.X25519_MLKEM768, 1216)],
)
def test_key_shares_have_the_length_of_their_group(group: int, length: int) -> None:
    assert len(extensions.share(group)) == length


def test_the_post_quantum_share_passes_the_check_of_an_encapsulation_key() -> None:
    packed = int.from_bytes(extensions.share(codes.X25519_MLKEM768)[:1152], "little")
    values = [packed >> (12 * index) & 0xFFF for index in range(768)]
    assert max(values) < 3329
    assert max(values) > 3000


def test_no_odd_hello_gets_more_than_an_alert_of_openssl() -> None:
    """But for the large one, which is legal (RFC 7685 sets no bound to padding)."""
    greeted = {
        name for name, odd in ODD.items() if answered(OpenSslServer(), odd.make()).hello is not None
    }
    assert greeted == {"60-kilobytes"}


def test_a_fragment_that_states_its_true_length_is_taken() -> None:
    """The control of `fragment-longer`."""
    body = dtls12().body()
    sent = datagrams([Fragment(codes.CLIENT_HELLO, len(body), 0, body, stated=len(body))])
    assert answered(OpenSslServer(), sent).hello is not None
