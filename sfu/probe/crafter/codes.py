"""The numbers of DTLS that the probe sends and reads, with the names reports give them (IANA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DTLS_1_0: Final = 0xFEFF
DTLS_1_2: Final = 0xFEFD  # RFC 6347 section 4.1
DTLS_1_3: Final = 0xFEFC  # RFC 9147 section 5.3
VERSIONS: Final[Mapping[int, str]] = {
    DTLS_1_0: "DTLS 1.0",
    DTLS_1_2: "DTLS 1.2",
    DTLS_1_3: "DTLS 1.3",
}

# Content types (RFC 6347 section 4.1) and handshake types (RFC 6347 section 4.2.2, RFC 8446 4).
CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
HELLO_VERIFY_REQUEST: Final = 3
CERTIFICATE: Final = 11
SERVER_KEY_EXCHANGE: Final = 12
CERTIFICATE_REQUEST: Final = 13
SERVER_HELLO_DONE: Final = 14

# Extensions.
SUPPORTED_GROUPS: Final = 10  # RFC 8422 section 5.1.1
EC_POINT_FORMATS: Final = 11  # RFC 8422 section 5.1.2
SIGNATURE_ALGORITHMS: Final = 13  # RFC 5246 section 7.4.1.4.1
USE_SRTP: Final = 14  # RFC 5764 section 4.1.1
PADDING: Final = 21  # RFC 7685
EXTENDED_MASTER_SECRET: Final = 23  # RFC 7627 section 5.1
SESSION_TICKET: Final = 35  # RFC 5077 section 3.2
SUPPORTED_VERSIONS: Final = 43  # RFC 8446 section 4.2.1
COOKIE: Final = 44  # RFC 8446 section 4.2.2
KEY_SHARE: Final = 51  # RFC 8446 section 4.2.8
RENEGOTIATION_INFO: Final = 0xFF01  # RFC 5746 section 3.2

# The two suites of this trade that every DTLS 1.2 stack knows, and the mandatory one of 1.3.
ECDHE_ECDSA_AES_128_GCM: Final = 0xC02B
ECDHE_ECDSA_AES_256_CBC: Final = 0xC00A
TLS_AES_128_GCM: Final = 0x1301
SUITES: Final[Mapping[int, str]] = {
    ECDHE_ECDSA_AES_128_GCM: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ECDHE_ECDSA_AES_256_CBC: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    0xC02F: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    0xC014: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    TLS_AES_128_GCM: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
}

P_256: Final = 0x0017
X25519: Final = 0x001D
X25519_MLKEM768: Final = 0x11EC  # draft-ietf-tls-ecdhe-mlkem section 4
GROUPS: Final[Mapping[int, str]] = {
    P_256: "P-256",
    0x0018: "P-384",
    0x0019: "P-521",
    X25519: "X25519",
    0x001E: "X448",
    X25519_MLKEM768: "X25519MLKEM768",
}

# Signature schemes (RFC 8446 section 4.2.3).
ECDSA_P256_SHA256: Final = 0x0403
SIGNATURES: Final[Mapping[int, str]] = {
    ECDSA_P256_SHA256: "ecdsa_secp256r1_sha256",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0401: "rsa_pkcs1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0203: "ecdsa_sha1",
    0x0201: "rsa_pkcs1_sha1",
}

# DTLS-SRTP protection profiles (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
SRTP_AES128_CM_SHA1_80: Final = 0x0001
SRTP_AES128_CM_SHA1_32: Final = 0x0002
SRTP_NULL_SHA1_80: Final = 0x0005
SRTP_NULL_SHA1_32: Final = 0x0006
SRTP_AEAD_AES_128_GCM: Final = 0x0007
SRTP_AEAD_AES_256_GCM: Final = 0x0008
PROFILES: Final[Mapping[int, str]] = {
    SRTP_AES128_CM_SHA1_80: "AES128_CM_HMAC_SHA1_80",
    SRTP_AES128_CM_SHA1_32: "AES128_CM_HMAC_SHA1_32",
    SRTP_NULL_SHA1_80: "NULL_HMAC_SHA1_80",
    SRTP_NULL_SHA1_32: "NULL_HMAC_SHA1_32",
    SRTP_AEAD_AES_128_GCM: "AEAD_AES_128_GCM",
    SRTP_AEAD_AES_256_GCM: "AEAD_AES_256_GCM",
}

# Alert descriptions (RFC 8446 section 6 and, for what 1.3 dropped, RFC 5246 section 7.2).
ALERTS: Final[Mapping[int, str]] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    116: "certificate_required",
    120: "no_application_protocol",
}


def named(names: Mapping[int, str], code: int) -> str:
    """The name of a number, or the number itself as the RFCs print it."""
    return names.get(code, f"0x{code:04X}")
