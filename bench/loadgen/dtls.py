"""The client's DTLS 1.2 handshake and the SRTP keys it yields (RFC 5764)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from pylibsrtp import Policy, Session

_MTU: Final = 1200
_RECORD_HEADER: Final = 13
_EXPORTER: Final = b"EXTRACTOR-dtls_srtp"
SUITES: Final = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA")


@dataclass(frozen=True, slots=True)
class Profile:
    """One SRTP protection profile."""

    openssl: str
    libsrtp: int
    key: int  # bytes
    salt: int  # bytes


PROFILES: Final = {
    "gcm": Profile("SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    "cm": Profile("SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}


class HandshakeError(Exception):
    """The handshake failed, or the server is not the one that the answer announced."""


class Identity:
    """A certificate and the context made with it; one serves all peers of a generator."""

    def __init__(self, profile: Profile, suite: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.profile = profile
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_cipher_list(suite.encode())
        context.set_tlsext_use_srtp(profile.openssl.encode())
        # Certificates are self-signed on both sides; the fingerprint decides.
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        self.context = context


@dataclass(frozen=True, slots=True)
class Keys:
    """Sealing and opening, ready to use."""

    outbound: Session
    inbound: Session

    @classmethod
    def given(cls, profile: Profile, ours: bytes, theirs: bytes) -> Keys:
        """Of master keys, each with its salt behind it: for what we send and for what we get."""
        return cls(
            outbound=_session(profile, ours, Policy.SSRC_ANY_OUTBOUND),
            inbound=_session(profile, theirs, Policy.SSRC_ANY_INBOUND),
        )


class Handshake:
    """One handshake as a state machine over datagrams; no sockets in here."""

    def __init__(self, identity: Identity, fingerprints: Mapping[str, str]) -> None:
        self._identity = identity
        self._fingerprints = fingerprints
        self._connection = SSL.Connection(identity.context, None)
        self._connection.set_connect_state()
        self._connection.set_ciphertext_mtu(_MTU)
        self.keys: Keys | None = None

    def step(self, datagram: bytes | None = None) -> list[bytes]:
        """Take what came, if anything; what to send now. Raises `HandshakeError`."""
        if datagram is not None:
            self._connection.bio_write(datagram)
        if self.keys is None:
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                raise HandshakeError(str(error)) from error
            else:
                self.keys = self._derive()
        return list(self._pending())

    def retransmit(self) -> list[bytes]:
        """What to send again, once OpenSSL's timer has run out."""
        if self.keys is not None or not self._connection.DTLSv1_handle_timeout():
            return []
        return list(self._pending())

    def _pending(self) -> Iterator[bytes]:
        """Whole records, as many to a datagram as fit."""
        datagram = b""
        for record in self._records():
            if datagram and len(datagram) + len(record) > _MTU:
                yield datagram
                datagram = b""
            datagram += record
        if datagram:
            yield datagram

    def _records(self) -> Iterator[bytes]:
        data = b""
        while True:
            try:
                data += self._connection.bio_read(65536)
            except SSL.WantReadError:
                break
        while data:
            length = _RECORD_HEADER + int.from_bytes(data[11:13], "big")
            yield data[:length]
            data = data[length:]

    def _derive(self) -> Keys:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            raise HandshakeError("the server showed no certificate")
        actual = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        if actual != self._fingerprints["sha-256"]:
            raise HandshakeError("the server's certificate is not the announced one")
        profile = self._identity.profile
        if self._connection.get_selected_srtp_profile() != profile.openssl.encode():
            raise HandshakeError("the server took no SRTP profile")
        k, s = profile.key, profile.salt
        material = self._connection.export_keying_material(_EXPORTER, 2 * (k + s))
        ours = material[:k] + material[2 * k : 2 * k + s]
        theirs = material[k : 2 * k] + material[2 * k + s :]
        return Keys.given(profile, ours, theirs)


def _session(profile: Profile, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile.libsrtp)
    policy.window_size = 4096
    return Session(policy)
