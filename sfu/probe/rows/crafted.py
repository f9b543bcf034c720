"""What OpenSSL will not say: hellos for DTLS 1.3, in odd pieces, with MKI and NULL profiles.

No handshake here is finished: what a server thinks of a hello is in its ServerHello, or in its
alert or silence.

`version-dtls-1.3`: alone it is refused where the policy has 1.2 only. A server that knows no 1.3
sees no suite it has; one that does says protocol_version.
`version-dtls-1.3-beside-1.2`: what browsers say today. A server chooses by `supported_versions`.
`hello-post-quantum`: a hybrid share takes 1,216 bytes, so the hello comes in two datagrams; a
server that reads only the first one loses every browser.
`hello-fragmented`, `hello-reversed`, `hello-overlapping`: RFC 6347 wants fragments kept until the
message is whole, in any order, overlapping or not.
`hello-disagreeing`: no message has two lengths; whoever believes the later one has been led beyond
what it made room for.
`srtp-mki`: a server echoes the identifier, and packets then carry it, or leaves it empty. Any
other makes the client end the handshake.
`srtp-null-alone`, `srtp-null-beside`: media without encryption is refused; nobody is to be
downgraded to it by being offered it first. OpenSSL as a server refuses by choosing no profile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from sfu.probe.crafter import codes, extensions
from sfu.probe.crafter.answers import ServerHello, ServerKeyExchange
from sfu.probe.crafter.fragments import Fragment, cut
from sfu.probe.crafter.hello import WEBRTC_PROFILES, ClientHello, dtls12, dtls13
from sfu.probe.crafter.vectors import Malformed
from sfu.probe.greeting import Cutting, Greeting, greet, honestly
from sfu.probe.lab import Lab
from sfu.probe.names import GROUPS, VERSIONS, named
from sfu.probe.policy import Policy
from sfu.probe.row import ACCEPTED, REFUSED, Expected, Observation, Row, accepted_if, must
from sfu.probe.suites import iana_name

NO_PROFILE: Final = "no profile"
WITHOUT_MKI: Final = "without MKI"
WITH_OURS: Final = "with our MKI"
OTHER_MKI: Final = "with another MKI"

_DTLS_1_3: Final = VERSIONS[codes.DTLS_1_3]
_MKI: Final = bytes.fromhex("c0ffee07")
_PIECE: Final = 40  # bytes; the honest hello is about 110 long
_SMALL_PIECE: Final = 10
_NULL: Final = (codes.SRTP_NULL_SHA1_80, codes.SRTP_NULL_SHA1_32)

Reading = Callable[[ServerHello, Greeting], Observation]


def _agreed(hello: ServerHello, seen: Greeting) -> Observation:
    exchange = seen.flight.first(ServerKeyExchange)
    group = named(GROUPS, exchange.group) if exchange else ""
    parts = (named(VERSIONS, hello.version), _suite(hello), group)
    return Observation(ACCEPTED, ", ".join(part for part in parts if part))


def _suite(hello: ServerHello) -> str:
    return codes.SUITES_1_3.get(hello.suite) or iana_name(hello.suite)


def _version(hello: ServerHello, _seen: Greeting) -> Observation:
    return Observation(named(VERSIONS, hello.version), _suite(hello))


def _profile(hello: ServerHello, _seen: Greeting) -> Observation:
    chosen = hello.srtp
    return Observation(NO_PROFILE if chosen is None else named(codes.PROFILES, chosen.profile))


def _mki(hello: ServerHello, _seen: Greeting) -> Observation:
    chosen = hello.srtp
    if chosen is None:
        return Observation(NO_PROFILE)
    words = {b"": WITHOUT_MKI, _MKI: WITH_OURS}
    return Observation(words.get(chosen.mki, OTHER_MKI), named(codes.PROFILES, chosen.profile))


def _run(
    make: Callable[[], ClientHello], reading: Reading, cutting: Cutting = honestly
) -> Callable[[Lab], Awaitable[Observation]]:
    """Say the hello; an answer is read by `reading`, anything else is a refusal."""

    async def run(lab: Lab) -> Observation:
        async with lab.session() as session:
            seen = await greet(session, make(), cutting)
        if seen.broken is not None:
            return Observation("malformed", seen.why_refused)
        answers = (one for one in seen.flight.answers if isinstance(one, ServerHello))
        hello = seen.flight.hello or next(answers, None)
        if hello is None or seen.flight.refusal is not None:
            return Observation(REFUSED, seen.why_refused)
        try:
            return reading(hello, seen)
        except Malformed as error:
            return Observation("malformed", str(error))

    return run


def _fragmented(body: bytes, message: int) -> Sequence[Fragment]:
    return cut(body, _PIECE, message=message)


def _reversed(body: bytes, message: int) -> Sequence[Fragment]:
    """In so many that a server which takes one more each time it hears the hello is not done in
    time.
    """
    return cut(body, _SMALL_PIECE, message=message)[::-1]


def _overlapping(body: bytes, message: int) -> Sequence[Fragment]:
    """Each fragment repeats the half of the one before it."""
    starts = range(0, len(body), _PIECE // 2)
    return [
        Fragment(codes.CLIENT_HELLO, len(body), at, body[at : at + _PIECE], message)
        for at in starts
    ]


def _disagreeing(body: bytes, message: int) -> Sequence[Fragment]:
    """The second half says that the hello is longer than the first half said."""
    first, *rest = cut(body, len(body) // 2 + 1, message=message)
    return [first, *(replace(one, total=one.total + 8) for one in rest)]


def _versions(policy: Policy) -> Expected:
    return Expected.one(_DTLS_1_3 if _DTLS_1_3 in policy.versions else VERSIONS[codes.DTLS_1_2])


def _any_profile(policy: Policy) -> Expected:
    return Expected.one(*policy.srtp_profiles)


def _srtp(*profiles: int, mki: bytes = b"") -> Callable[[], ClientHello]:
    return lambda: dtls12().with_extension(extensions.use_srtp(*profiles, mki=mki))


_FRAGMENTS: Final = "RFC 6347 section 4.2.3"

ROWS: Final[tuple[Row, ...]] = (
    Row(
        id="version-dtls-1.3",
        tried="a hello for DTLS 1.3 and nothing else",
        clause="RFC 9147 section 5.3",
        expected=accepted_if(lambda policy: _DTLS_1_3 in policy.versions),
        run=_run(lambda: dtls13(fallback=False), _agreed),
    ),
    Row(
        id="version-dtls-1.3-beside-1.2",
        tried="a hello for DTLS 1.3 and 1.2",
        clause="RFC 9147 section 5.3; RFC 8446 section 4.2.1",
        expected=_versions,
        run=_run(lambda: dtls13(fallback=True), _version),
    ),
    Row(
        id="hello-post-quantum",
        tried="a hello with an X25519MLKEM768 key share, in two datagrams, as browsers send it",
        clause="RFC 6347 section 4.2.3; draft-ietf-tls-ecdhe-mlkem",
        expected=must(ACCEPTED),
        run=_run(lambda: dtls13(fallback=True, post_quantum=True), _agreed),
    ),
    Row(
        id="hello-fragmented",
        tried="a hello in fragments of 40 bytes, a datagram each",
        clause=_FRAGMENTS,
        expected=must(ACCEPTED),
        run=_run(dtls12, _agreed, _fragmented),
    ),
    Row(
        id="hello-reversed",
        tried="a hello in fragments of 10 bytes, the last one first",
        clause=_FRAGMENTS,
        expected=must(ACCEPTED),
        run=_run(dtls12, _agreed, _reversed),
    ),
    Row(
        id="hello-overlapping",
        tried="a hello in fragments that overlap by half",
        clause=_FRAGMENTS,
        expected=must(ACCEPTED),
        run=_run(dtls12, _agreed, _overlapping),
    ),
    Row(
        id="hello-disagreeing",
        tried="a hello whose fragments disagree about its length",
        clause="RFC 6347 section 4.2.2",
        expected=must(REFUSED),
        run=_run(dtls12, _agreed, _disagreeing),
    ),
    Row(
        id="srtp-mki",
        tried="use_srtp with a master key identifier of four bytes",
        clause="RFC 5764 section 4.1.3",
        expected=must(WITHOUT_MKI, WITH_OURS),
        run=_run(_srtp(*WEBRTC_PROFILES, mki=_MKI), _mki),
    ),
    Row(
        id="srtp-null-alone",
        tried="the NULL profiles of SRTP alone",
        clause="RFC 8827 section 6.5",
        expected=must(REFUSED, NO_PROFILE),
        run=_run(_srtp(*_NULL), _profile),
    ),
    Row(
        id="srtp-null-beside",
        tried="the NULL profiles of SRTP first, those of WebRTC behind them",
        clause="RFC 8827 section 6.5; RFC 5764 section 4.1.2",
        expected=_any_profile,
        run=_run(_srtp(*_NULL, *WEBRTC_PROFILES), _profile),
    ),
)
