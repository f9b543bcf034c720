"""What the server signs its key exchange with, and what it lets a client sign with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sfu.probe.client import Hello
from sfu.probe.lab import Lab, outcome
from sfu.probe.policy import Policy
from sfu.probe.row import REFUSED, Expected, Observation, Row, Untested, must

# OpenSSL's names of what a client may insist on, by IANA's.
_SCHEMES: Final = {
    "ecdsa_secp256r1_sha256": "ECDSA+SHA256",
    "ecdsa_secp384r1_sha384": "ECDSA+SHA384",
    "ecdsa_secp521r1_sha512": "ECDSA+SHA512",
    "ecdsa_sha224": "ECDSA+SHA224",
    "ecdsa_sha1": "ECDSA+SHA1",
    "rsa_pss_rsae_sha256": "rsa_pss_rsae_sha256",
    "rsa_pkcs1_sha256": "RSA+SHA256",
    "rsa_pkcs1_sha1": "RSA+SHA1",
}
_WEAK: Final = ("md5", "sha1", "sha224")
STRONG: Final = "SHA-2 alone"


def _alone(openssl: str) -> Callable[[Lab], Awaitable[Observation]]:
    async def run(lab: Lab) -> Observation:
        suites = (
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",  # a server with an RSA key may show it
        )
        async with lab.session() as session:
            handshake = await session.shake(Hello(suites=suites, signatures=openssl))
            # The client's list limits its own signature too, so what comes later may fail.
            if handshake.signature:
                return Observation(handshake.signature, handshake.summary)
            return outcome(handshake)

    return run


def _if_named(scheme: str) -> Callable[[Policy], Expected]:
    return lambda policy: Expected.one(scheme if scheme in policy.signatures else REFUSED)


async def _asked(lab: Lab) -> Observation:
    async with lab.session() as session:
        handshake = await session.shake()
        asked = handshake.asked_signatures
        if asked is None:
            raise Untested("the server asks for no certificate")
        weak = [one for one in asked if one.endswith(_WEAK)]
        return Observation(", ".join(weak) if weak else STRONG, f"{len(asked)} schemes")


ROWS: Final = (
    *(
        Row(
            id=f"signature-{scheme.replace('_', '-')}",
            tried=f"a client that takes {scheme} alone",
            clause="RFC 5246 section 7.4.1.4.1; RFC 9155; policy, signatures",
            expected=_if_named(scheme),
            run=_alone(openssl),
        )
        for scheme, openssl in _SCHEMES.items()
    ),
    Row(
        id="signature-asked-of-clients",
        tried="the hashes that the server's CertificateRequest names",
        clause="RFC 9155 section 3",
        expected=must(STRONG),
        run=_asked,
    ),
)
