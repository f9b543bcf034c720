"""How a handshake went, as seen from beside it: flights, time, and what was signed with.

pyOpenSSL tells none of this. A DTLS 1.2 handshake says it in the clear: both signatures are over
messages before the ciphers change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sfu.dtls.wire import Fragment, fragments

_SERVER_KEY_EXCHANGE = 12
_CERTIFICATE_VERIFY = 15
_NAMED_CURVE = 3  # RFC 8422 section 5.4
_POINT_LENGTH = 3  # where the public point's length stands, after type and curve

# The TLS SignatureScheme registry; DTLS 1.2 reads the two bytes as hash and signature
# (RFC 5246 section 7.4.1.4.1), so the curve in a name says nothing about the key.
SIGNATURE_SCHEMES = {
    0x0401: "rsa_pkcs1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
}


@dataclass(frozen=True, slots=True)
class Course:
    """How a finished handshake went."""

    signature: str  # IANA SignatureScheme of the server's key exchange
    peer_signature: str  # of the client's CertificateVerify
    flights: int  # runs of datagrams in one direction; 4 when nothing was lost
    seconds: float  # from the client's first datagram to its keys


class Bystander:
    """Sees every datagram of one handshake go by. `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: float | None = None
        self._inbound: bool | None = None
        self._flights = 0
        self._signature = self._peer_signature = "unknown"

    def arrived(self, datagram: bytes) -> None:
        """The client said this."""
        if self._began is None:
            self._began = self._clock()
        self._turn(inbound=True)
        for fragment in fragments(datagram):
            if fragment.message == _CERTIFICATE_VERIFY and fragment.offset == 0:
                self._peer_signature = _scheme(fragment.part[:2])

    def left(self, datagrams: Iterable[bytes]) -> None:
        """We said these."""
        for datagram in datagrams:
            self._turn(inbound=False)
            for fragment in fragments(datagram):
                if fragment.message == _SERVER_KEY_EXCHANGE and fragment.offset == 0:
                    self._signature = _exchange_scheme(fragment)

    def course(self) -> Course:
        """The account of it, with now as its end."""
        now = self._clock()
        return Course(
            signature=self._signature,
            peer_signature=self._peer_signature,
            flights=self._flights,
            seconds=now - (now if self._began is None else self._began),
        )

    def _turn(self, *, inbound: bool) -> None:
        if inbound is not self._inbound:
            self._inbound = inbound
            self._flights += 1


def _exchange_scheme(fragment: Fragment) -> str:
    part = fragment.part
    if len(part) <= _POINT_LENGTH or part[0] != _NAMED_CURVE:
        return "unknown"
    end = _POINT_LENGTH + 1 + part[_POINT_LENGTH]
    return _scheme(part[end : end + 2])


def _scheme(code: bytes) -> str:
    return SIGNATURE_SCHEMES.get(int.from_bytes(code, "big"), "unknown")
