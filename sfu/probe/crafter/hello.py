"""A ClientHello: what it holds, and the two that the rows start from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sfu.probe.crafter import codes, extensions
from sfu.probe.crafter.extensions import Extension
from sfu.probe.crafter.vectors import numbers, vector

WEBRTC_PROFILES = (codes.SRTP_AEAD_AES_128_GCM, codes.SRTP_AES128_CM_SHA1_80)


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The body of a ClientHello (RFC 6347 section 4.2.1). Nothing is checked: it may be wrong."""

    version: int = codes.DTLS_1_2  # "legacy_version" in 1.3, which stays 1.2
    random: bytes = field(default_factory=lambda: os.urandom(32))
    session_id: bytes = b""
    cookie: bytes = b""
    suites: Sequence[int] = (codes.ECDHE_ECDSA_AES_128_GCM, codes.ECDHE_ECDSA_AES_256_CBC)
    compressions: bytes = b"\0"
    extensions: Sequence[Extension] = ()

    def body(self) -> bytes:
        """The bytes behind the handshake header."""
        listed = b"".join(numbers((one.kind,)) + vector(one.content, 2) for one in self.extensions)
        return (
            numbers((self.version,))
            + self.random
            + vector(self.session_id, 1)
            + vector(self.cookie, 1)
            + vector(numbers(self.suites), 2)
            + vector(self.compressions, 1)
            + (vector(listed, 2) if self.extensions else b"")
        )

    def with_extension(self, extension: Extension) -> ClientHello:
        """With that one in the place of its kind, or at the end."""
        others = [one for one in self.extensions if one.kind != extension.kind]
        return replace(self, extensions=(*others, extension))

    def without_extension(self, kind: int) -> ClientHello:
        """Without it."""
        return replace(self, extensions=[one for one in self.extensions if one.kind != kind])

    def without_extensions(self) -> ClientHello:
        """Without any."""
        return replace(self, extensions=())


def dtls12() -> ClientHello:
    """What a WebRTC client of DTLS 1.2 says, and no more: every server of this trade answers it."""
    return ClientHello(
        extensions=(
            extensions.supported_groups(codes.X25519, codes.P_256),
            extensions.ec_point_formats(),
            extensions.signature_algorithms(*_SCHEMES),
            extensions.use_srtp(*WEBRTC_PROFILES),
            extensions.extended_master_secret(),
            extensions.renegotiation_info(),
        )
    )


def dtls13(*, fallback: bool, post_quantum: bool = False) -> ClientHello:
    """DTLS 1.3 (RFC 9147 section 5.3), alone or with 1.2 beside it as browsers say it today."""
    groups = [codes.X25519, codes.P_256]
    shared = [codes.X25519]
    if post_quantum:
        groups.insert(0, codes.X25519_MLKEM768)
        shared.insert(0, codes.X25519_MLKEM768)
    versions = (codes.DTLS_1_3, codes.DTLS_1_2) if fallback else (codes.DTLS_1_3,)
    hello = dtls12() if fallback else dtls12().without_extension(codes.EC_POINT_FORMATS)
    return replace(
        hello.with_extension(extensions.supported_groups(*groups))
        .with_extension(extensions.supported_versions(*versions))
        .with_extension(extensions.key_share({group: extensions.share(group) for group in shared})),
        suites=(codes.TLS_AES_128_GCM, *(hello.suites if fallback else ())),
    )


_SCHEMES = (codes.ECDSA_P256_SHA256, 0x0503, 0x0804, 0x0401)
