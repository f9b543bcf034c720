"""The signalling port's TLS: everything the media's keys rest on (RFC 8826 section 4.3.1).

Fingerprints and ICE passwords come through this port, so whoever can change what it says owns the
media. `tls-1.0` to `tls-1.3` offer a version alone, with every suite this OpenSSL has.
`tls-1.2-suites` finds the whole set a server takes: what it chose is left out of the next hello.
A set may be smaller than the policy's (an ECDSA key takes no RSA suite), never larger.
`tls-chain` holds the certificate against the authorities that the user trusts; `tls-names` looks at
its names whoever issued it, so each can fail alone. `tls-hsts` may be missing on `localhost`.
`tls-plain-http` may be told to go elsewhere, not served. `tls-compression` is a hello by hand,
since no OpenSSL of today offers any.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sfu.probe.crafter import codes
from sfu.probe.crafter.answers import ServerHello
from sfu.probe.crafter.hello import ClientHello
from sfu.probe.crafter.tls import first_answer, hello_record, tls12
from sfu.probe.crafter.vectors import Malformed
from sfu.probe.identity import key_kind
from sfu.probe.lab import Lab
from sfu.probe.policy import Policy
from sfu.probe.row import ACCEPTED, REFUSED, Expected, Observation, Row, Untested, accepted_if, must
from sfu.probe.signalling_port import (
    EVERY_SUITE,
    PATIENCE,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
    Refused,
    link,
    names_mismatch,
    plain,
    trusting,
    verified,
)
from sfu.probe.suites import SUITES
from sfu.probe.targets import Door

WITHIN: Final = "none but the policy's"
BEYOND: Final = "others too"
STRONG, WEAK = "strong", "weak"
TRUSTED, NOT_TRUSTED = "trusted", "not trusted"
NAMED, NOT_NAMED = "named", "another's name"
SENT, LEFT_OUT, NOT_FOR_LOCALHOST = "sent", "left out", "left out, on localhost"
NOTHING, TURNED_AWAY, SERVED = "nothing", "turned away", "served"
OFF, ON = "off", "on"

_VERSIONS: Final = {TLS_1_0: "TLSv1.0", TLS_1_1: "TLSv1.1", TLS_1_2: "TLSv1.2", TLS_1_3: "TLSv1.3"}
_IANA: Final = {suite.openssl: suite.iana for suite in SUITES}
_MOST: Final = 60  # suites that one server can be found to accept; none has so many


def _secure_door(lab: Lab) -> Door:
    if lab.target.door.tls is None:
        raise Untested("the target's address has no TLS")
    return lab.target.door


def _version(version: int) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        try:
            async with link(_secure_door(lab), lowest=version, highest=version) as tls:
                return Observation(ACCEPTED, tls.agreed.suite)
        except Refused as refused:
            return Observation(REFUSED, str(refused))

    return run


async def _suites_1_2(lab: Lab) -> Observation:
    """Everything is offered; what the server takes is left out of the next hello, until it takes
    nothing. So a suite is found whatever the server prefers.
    """
    door, taken = _secure_door(lab), list[str]()
    for _ in range(_MOST):
        offered = ":".join([EVERY_SUITE, *(f"-{name}" for name in taken)])
        try:
            async with link(door, lowest=TLS_1_2, highest=TLS_1_2, suites=offered) as tls:
                taken.append(tls.agreed.suite)
        except Refused:
            break
    return _judged([_IANA.get(name, name) for name in taken], lab.policy)


async def _suites_1_3(lab: Lab) -> Observation:
    door, taken = _secure_door(lab), list[str]()
    for suite in codes.SUITES_1_3.values():  # OpenSSL names them so too
        try:
            async with link(door, lowest=TLS_1_3, suites_1_3=suite):
                taken.append(suite)
        except Refused:
            continue
    return _judged(taken, lab.policy)


def _judged(taken: list[str], policy: Policy) -> Observation:
    beyond = [suite for suite in taken if suite not in policy.tls.suites]
    if beyond:
        return Observation(BEYOND, ", ".join(beyond))
    return Observation(WITHIN, ", ".join(taken) or "no suite of this version")


async def _chain(lab: Lab) -> tuple[x509.Certificate, ...]:
    try:
        async with link(_secure_door(lab)) as tls:
            chain = tls.agreed.chain
    except Refused as refused:
        raise Untested(f"no TLS handshake: {refused}") from None
    if not chain:
        raise Untested("the server showed no certificate")
    return chain


async def _key(lab: Lab) -> Observation:
    (leaf, *_rest) = await _chain(lab)
    try:
        key = leaf.public_key()
    except ValueError:
        return Observation(WEAK, "a key that cannot be read")
    strong = False
    if isinstance(key, ec.EllipticCurvePublicKey):
        strong = key.curve.name in lab.policy.tls.curves
    elif isinstance(key, rsa.RSAPublicKey):
        strong = key.key_size >= lab.policy.tls.rsa_bits
    return Observation(STRONG if strong else WEAK, key_kind(leaf))


async def _trust(lab: Lab) -> Observation:
    door = _secure_door(lab)
    assert door.tls is not None
    try:
        wrong = await verified(door, door.tls)
    except Refused as refused:
        raise Untested(f"no TLS handshake: {refused}") from None
    if wrong is None or names_mismatch(wrong):
        return Observation(TRUSTED)
    return Observation(NOT_TRUSTED, wrong.verify_message)


async def _names(lab: Lab) -> Observation:
    """Whoever issued it: the presented chain is trusted for this one look."""
    door = _secure_door(lab)
    try:
        wrong = await verified(door, trusting(await _chain(lab)))
    except Refused as refused:
        raise Untested(f"no TLS handshake: {refused}") from None
    if wrong is None:
        return Observation(NAMED)
    if names_mismatch(wrong):
        return Observation(NOT_NAMED)
    raise Untested(f"the certificate is not good for a look at its names: {wrong.verify_message}")


async def _hsts(lab: Lab) -> Observation:
    door = _secure_door(lab)
    try:
        async with link(door) as tls:
            answer = await tls.ask(_get(door))
    except Refused as refused:
        raise Untested(f"no TLS handshake: {refused}") from None
    if not answer.startswith(b"HTTP/1."):
        raise Untested("the server's port answers no HTTP/1.1")
    head = answer.split(b"\r\n\r\n", 1)[0].decode("latin-1")
    found = re.search(r"^strict-transport-security:.*max-age=\"?(\d+)", head, re.I | re.M)
    if found is None or int(found[1]) == 0:
        return Observation(NOT_FOR_LOCALHOST if door.host == "localhost" else LEFT_OUT)
    return Observation(SENT, f"{int(found[1]) // 86400} days")


async def _plain_http(lab: Lab) -> Observation:
    door = _secure_door(lab)
    answer = b""
    async with plain(door) as (reader, writer):
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(_get(door))
                await writer.drain()
                answer = await reader.read(2048)
        except (OSError, TimeoutError):
            pass
    status = re.match(rb"HTTP/\d\.\d (\d{3})", answer)
    if status is None:
        return Observation(NOTHING)
    return Observation(TURNED_AWAY if status[1] >= b"300" else SERVED, status[1].decode())


async def _renegotiation(lab: Lab) -> Observation:
    try:
        async with link(_secure_door(lab), highest=TLS_1_2) as tls:
            tls.connection.renegotiate()
            try:
                await tls.shake()
            except Refused as refused:
                return Observation(REFUSED, str(refused))
            return Observation(ACCEPTED, f"a second handshake in {tls.agreed.version}")
    except Refused:
        return Observation(REFUSED, "TLS 1.3 has none")


async def _compression(lab: Lab) -> Observation:
    """A hello by hand: no OpenSSL of today can offer compression."""
    hello = replace(tls12(), compressions=b"\1\0", suites=[suite.code for suite in SUITES])
    answer = await _answer_to(_secure_door(lab), hello)
    if answer is None:
        return Observation(OFF, "no answer to a hello of TLS 1.2")
    return Observation(ON if answer.compression else OFF, f"method {answer.compression}")


async def _answer_to(door: Door, hello: ClientHello) -> ServerHello | None:
    received = b""
    async with plain(door) as (reader, writer):
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(hello_record(hello))
                await writer.drain()
                while data := await reader.read(16384):
                    received += data
                    answer = first_answer(received)
                    if answer is not None or len(received) > 65536:
                        return answer
        except (OSError, TimeoutError):
            return None
        except Malformed as error:
            raise Untested(str(error)) from None
    return None


def _get(door: Door) -> bytes:
    host = f"[{door.host}]" if ":" in door.host else door.host
    head = f"GET / HTTP/1.1\r\nHost: {host}:{door.port}\r\nConnection: close\r\n\r\n"
    return head.encode("idna" if not door.host.isascii() else "ascii")


def _hsts_expected(policy: Policy) -> Expected:
    """On `localhost` it may be missing: it would bind whatever else a developer serves there."""
    outcomes = (SENT, NOT_FOR_LOCALHOST) if policy.tls.hsts else (SENT, NOT_FOR_LOCALHOST, LEFT_OUT)
    return Expected.one(*outcomes, sentence=SENT if policy.tls.hsts else "sent or not")


def _key_expected(policy: Policy) -> Expected:
    curves = " or ".join(policy.tls.curves)
    return Expected.one(STRONG, sentence=f"ECDSA on {curves}, or RSA of {policy.tls.rsa_bits} bits")


def _version_row(version: int, name: str) -> Row:
    return Row(
        id=f"tls-{name.removeprefix('TLSv')}",
        tried=f"signalling over {name} alone",
        clause="RFC 9325 section 3.1.1",
        expected=accepted_if(lambda policy: name in policy.tls.versions),
        run=_version(version),
    )


ROWS: Final[tuple[Row, ...]] = (
    *(_version_row(version, name) for version, name in _VERSIONS.items()),
    Row(
        id="tls-1.2-suites",
        tried="every TLS 1.2 suite of OpenSSL, until the server takes no more",
        clause="RFC 9325 section 4.2",
        expected=must(WITHIN),
        run=_suites_1_2,
        seconds=30.0,
    ),
    Row(
        id="tls-1.3-suites",
        tried="the five suites of TLS 1.3, one at a time",
        clause="RFC 9325 section 4.3",
        expected=must(WITHIN),
        run=_suites_1_3,
    ),
    Row(
        id="tls-key",
        tried="the key of the server's certificate",
        clause="RFC 9325 section 4.5",
        expected=_key_expected,
        run=_key,
    ),
    Row(
        id="tls-chain",
        tried="the certificate's chain, against the authorities that were given",
        clause="RFC 5280 section 6",
        expected=must(TRUSTED),
        run=_trust,
    ),
    Row(
        id="tls-names",
        tried="the names in the certificate",
        clause="RFC 9525 section 6",
        expected=must(NAMED),
        run=_names,
    ),
    Row(
        id="tls-hsts",
        tried="the first page's Strict-Transport-Security",
        clause="RFC 6797 section 7.1",
        expected=_hsts_expected,
        run=_hsts,
    ),
    Row(
        id="tls-plain-http",
        tried="HTTP without TLS to the same port",
        clause="RFC 9325 section 3.2",
        expected=must(NOTHING, TURNED_AWAY),
        run=_plain_http,
    ),
    Row(
        id="tls-renegotiation",
        tried="a second handshake inside the first, asked for by the client",
        clause="RFC 9325 section 3.5",
        expected=must(REFUSED),
        run=_renegotiation,
    ),
    Row(
        id="tls-compression",
        tried="a hello of TLS 1.2 that offers DEFLATE",
        clause="RFC 9325 section 3.3",
        expected=must(OFF),
        run=_compression,
    ),
)
