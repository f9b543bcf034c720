"""SRTP with the keys of a finished handshake (RFC 5764 section 4.2); the cipher is libsrtp's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pylibsrtp import Error, Policy, Session

from sfu.probe.client import Handshake

_EXPORTER: Final = b"EXTRACTOR-dtls_srtp"
_WINDOW: Final = 4096  # packets


@dataclass(frozen=True, slots=True)
class Profile:
    """One SRTP protection profile."""

    openssl: str
    libsrtp: int
    key: int  # bytes
    salt: int  # bytes


# By IANA's names without SRTP_ (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
PROFILES: Final[Mapping[str, Profile]] = {
    "AEAD_AES_128_GCM": Profile(
        "SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12
    ),
    "AES128_CM_HMAC_SHA1_80": Profile(
        "SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14
    ),
    "AES128_CM_HMAC_SHA1_32": Profile(
        "SRTP_AES128_CM_SHA1_32", Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 16, 14
    ),
    "AEAD_AES_256_GCM": Profile(
        "SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12
    ),
}


def profile_name(openssl: str | None) -> str | None:
    """IANA's name of what OpenSSL calls so."""
    return next((name for name, one in PROFILES.items() if one.openssl == openssl), openssl)


class Keys:
    """What one side seals with and opens with."""

    def __init__(self, handshake: Handshake, *, client: bool = True) -> None:
        """The keys of a handshake that is done and chose a profile of `PROFILES`."""
        name = profile_name(handshake.profile) or ""
        self._profile = PROFILES[name]
        k, s = self._profile.key, self._profile.salt
        material = handshake.connection.export_keying_material(_EXPORTER, 2 * (k + s))
        clients = material[:k] + material[2 * k : 2 * k + s]
        servers = material[k : 2 * k] + material[2 * k + s :]
        self._ours, self._theirs = (clients, servers) if client else (servers, clients)
        self.outbound = self._session(self._ours, Policy.SSRC_ANY_OUTBOUND)
        self._inbound = self._session(self._theirs, Policy.SSRC_ANY_INBOUND)

    def open(self, packet: bytes) -> bytes | None:
        """The RTP packet in it, None when it is not sealed with these keys. A second copy is opened
        too: whether a server forwards it is what a row wants to know.
        """
        for session in (self._inbound, self._session(self._theirs, Policy.SSRC_ANY_INBOUND)):
            try:
                return session.unprotect(packet)
            except Error:
                continue
        return None

    def open_control(self, packet: bytes) -> bytes | None:
        """The same for SRTCP."""
        for session in (self._inbound, self._session(self._theirs, Policy.SSRC_ANY_INBOUND)):
            try:
                return session.unprotect_rtcp(packet)
            except Error:
                continue
        return None

    def _session(self, key: bytes, direction: int) -> Session:
        policy = Policy(key=key, ssrc_type=direction, srtp_profile=self._profile.libsrtp)
        policy.window_size = _WINDOW
        return Session(policy)
