"""Why a handshake was refused: a stable code and a sentence, told from OpenSSL's reasons."""

from __future__ import annotations

from collections.abc import Sequence

from OpenSSL import SSL

from sfu.crypto_policy import CryptoPolicy
from sfu.dtls.hello import ClientHello

NO_COMMON_SUITE = "dtls_no_common_suite"
NO_COMMON_GROUP = "dtls_no_common_group"
VERSION = "dtls_version"
NO_SRTP_PROFILE = "dtls_no_srtp_profile"
NO_EXTENDED_MASTER_SECRET = "dtls_no_extended_master_secret"  # noqa: S105 - a code, no secret
FINGERPRINT_MISMATCH = "dtls_fingerprint_mismatch"
CERTIFICATE_MISSING = "dtls_certificate_missing"
CERTIFICATE_WEAK = "dtls_certificate_weak"
PEER_ALERT = "dtls_peer_alert"
TIMEOUT = "dtls_timeout"
CLOSED = "dtls_closed"
CROWDED_OUT = "dtls_crowded_out"
PROTOCOL = "dtls_protocol"

SENTENCES = {
    NO_COMMON_SUITE: "The client offered no cipher suite that this server accepts.",
    NO_COMMON_GROUP: "The client offered no key exchange group that this server accepts.",
    VERSION: "The client does not speak DTLS 1.2.",
    NO_SRTP_PROFILE: "The client offered no SRTP protection profile that this server accepts.",
    NO_EXTENDED_MASTER_SECRET: "The client did not offer the extended master secret.",
    FINGERPRINT_MISMATCH: "The client's certificate does not match the fingerprint it announced.",
    CERTIFICATE_MISSING: "The client sent no certificate.",
    CERTIFICATE_WEAK: "The client's certificate has a key of a kind or size that is refused.",
    PEER_ALERT: "The client refused the handshake.",
    TIMEOUT: "The handshake was not finished in time.",
    CLOSED: "The transport was closed during the handshake.",
    CROWDED_OUT: "The handshake took long, and others were waiting for its place.",
    PROTOCOL: "The client broke the DTLS protocol.",
}

# OpenSSL's reason strings, matched whole.
_REASONS = {
    "unsupported protocol": VERSION,
    "wrong ssl version": VERSION,
    "version too low": VERSION,
    "version too high": VERSION,
    "no protocols available": VERSION,
    "peer did not return a certificate": CERTIFICATE_MISSING,
    "no suitable key share": NO_COMMON_GROUP,
    "no shared groups": NO_COMMON_GROUP,
    "no shared group": NO_COMMON_GROUP,
    "no suitable groups": NO_COMMON_GROUP,
    "wrong curve": CERTIFICATE_WEAK,
    "ee key too small": CERTIFICATE_WEAK,
    "unsupported certificate type": CERTIFICATE_WEAK,
    "unknown certificate type": CERTIFICATE_WEAK,
}


class HandshakeRefused(Exception):
    """The handshake did not lead to keys. `reason` is OpenSSL's own word where there is one."""

    def __init__(self, code: str, reason: str = "") -> None:
        self.code = code
        self.sentence = SENTENCES[code]
        self.reason = reason
        super().__init__(self.sentence)


def explain(error: SSL.Error, hello: ClientHello | None, policy: CryptoPolicy) -> HandshakeRefused:
    """What an error of OpenSSL during the handshake means.

    OpenSSL says "no shared cipher" for a missing group too (RFC 8422 section 4 ties suites to
    groups); `hello` tells the two apart.
    """
    reasons = _reasons(error)
    text = "; ".join(reasons)
    for reason in reasons:
        if " alert " in reason:
            return HandshakeRefused(PEER_ALERT, text)
        if reason == "no shared cipher":
            return HandshakeRefused(_missing(hello, policy), text)
        if reason in _REASONS:
            return HandshakeRefused(_REASONS[reason], text)
    return HandshakeRefused(PROTOCOL, text)


def _missing(hello: ClientHello | None, policy: CryptoPolicy) -> str:
    if hello is None or not any(suite.code in hello.suites for suite in policy.suites):
        return NO_COMMON_SUITE
    return NO_COMMON_GROUP


def _reasons(error: SSL.Error) -> Sequence[str]:
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return [entry[-1] for entry in entries if isinstance(entry, tuple) and entry]
