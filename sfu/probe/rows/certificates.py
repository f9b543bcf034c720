"""Which certificates a server takes from a client, and the one it shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from cryptography import x509

from sfu.probe.client import Hello
from sfu.probe.identity import KeyKind, fingerprint, identity, key_kind
from sfu.probe.lab import Lab, Session, outcome
from sfu.probe.row import ACCEPTED, REFUSED, Expected, Observation, Row, Untested, accepted_if, must

# Without ECDSA on P-256: that is the honest client's (`sfu.probe.rows.baseline`).
_KINDS: Final[tuple[KeyKind, ...]] = (
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
    "rsa-1024",
    "ed25519",
)
# The client's own curve is in its list, else the server could not take its certificate.
_GROUPS: Final = "X25519:P-256:P-384:P-521"
_ANNOUNCED: Final = "the announced one"


def _of_kind(kind: KeyKind) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        async with lab.session(identity(kind)) as session:
            return outcome(await session.shake(Hello(groups=_GROUPS)))

    return run


def _row(kind: KeyKind) -> Row:
    return Row(
        id=f"client-certificate-{kind}",
        tried=f"a client certificate with a key of kind {kind}",
        clause="RFC 8827 section 6.5; policy, client_certificates",
        expected=accepted_if(lambda policy: kind in policy.client_certificates),
        run=_of_kind(kind),
    )


async def _none(lab: Lab) -> Observation:
    async with lab.session() as session:
        return outcome(await session.shake(Hello(certificate=False)))


async def _expired(lab: Lab) -> Observation:
    async with lab.session(identity(expired=True)) as session:
        return outcome(await session.shake())


async def _server_key(lab: Lab) -> Observation:
    async with lab.session() as session:
        return Observation(key_kind(await _shown(session)))


async def _server_fingerprint(lab: Lab) -> Observation:
    async with lab.session() as session:
        shown = await _shown(session)
        known = {f"{name} {value}" for name, value in session.remote.fingerprints}
        for algorithm in ("sha-256", "sha-384", "sha-512"):
            if any(one.startswith(algorithm) for one in known):
                if fingerprint(shown, algorithm) not in known:
                    return Observation("another one", f"its {algorithm} is not in the answer")
                return Observation(_ANNOUNCED, algorithm)
        return Observation("another one", "the answer has no fingerprint of sha-256 or stronger")


async def _shown(session: Session) -> x509.Certificate:
    handshake = await session.shake()
    if handshake.certificate is None:
        raise Untested(f"the server showed no certificate ({handshake.error or 'none at all'})")
    try:
        return x509.load_der_x509_certificate(handshake.certificate)
    except ValueError:
        raise Untested("the server's certificate cannot be read") from None


ROWS: Final = (
    *(_row(kind) for kind in _KINDS),
    Row(
        id="client-certificate-none",
        tried="a client that shows no certificate",
        clause="RFC 8827 section 6.5; RFC 5764 section 4.1",
        expected=must(REFUSED),
        run=_none,
    ),
    Row(
        id="client-certificate-expired",
        tried="a certificate whose time is over",
        clause="RFC 8827 section 6.5: the fingerprint alone decides",
        expected=must(ACCEPTED),
        run=_expired,
    ),
    Row(
        id="server-certificate-key",
        tried="the kind of key in the server's own certificate",
        clause="RFC 8827 section 6.5; policy, server_keys",
        expected=lambda policy: Expected.one(*policy.server_keys),
        run=_server_key,
    ),
    Row(
        id="server-certificate-fingerprint",
        tried="the server's certificate against the fingerprint in its answer",
        clause="RFC 8122 section 6.2",
        expected=must(_ANNOUNCED),
        run=_server_fingerprint,
    ),
)
