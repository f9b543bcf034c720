"""The numbers that the crafter says and reads (IANA); their names are in `sfu.probe.names`."""

from __future__ import annotations

from typing import Final

DTLS_1_0: Final = 0xFEFF
DTLS_1_2: Final = 0xFEFD  # RFC 6347 section 4.1
DTLS_1_3: Final = 0xFEFC  # RFC 9147 section 5.3

# Content types (RFC 6347 section 4.1) and handshake types (RFC 6347 section 4.2.2, RFC 8446 4).
CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
HELLO_VERIFY_REQUEST: Final = 3
NEW_SESSION_TICKET: Final = 4
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
SUITES_1_3: Final = {  # RFC 8446 appendix B.4
    TLS_AES_128_GCM: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0x1305: "TLS_AES_128_CCM_8_SHA256",
}

P_256: Final = 0x0017
X25519: Final = 0x001D
X25519_MLKEM768: Final = 0x11EC  # draft-ietf-tls-ecdhe-mlkem section 4

# Signature schemes (RFC 8446 section 4.2.3).
ECDSA_P256_SHA256: Final = 0x0403

# DTLS-SRTP protection profiles (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
SRTP_AES128_CM_SHA1_80: Final = 0x0001
SRTP_AES128_CM_SHA1_32: Final = 0x0002
SRTP_NULL_SHA1_80: Final = 0x0005
SRTP_NULL_SHA1_32: Final = 0x0006
SRTP_AEAD_AES_128_GCM: Final = 0x0007
SRTP_AEAD_AES_256_GCM: Final = 0x0008
PROFILES: Final = {
    SRTP_AES128_CM_SHA1_80: "AES128_CM_HMAC_SHA1_80",
    SRTP_AES128_CM_SHA1_32: "AES128_CM_HMAC_SHA1_32",
    SRTP_NULL_SHA1_80: "NULL_HMAC_SHA1_80",
    SRTP_NULL_SHA1_32: "NULL_HMAC_SHA1_32",
    SRTP_AEAD_AES_128_GCM: "AEAD_AES_128_GCM",
    SRTP_AEAD_AES_256_GCM: "AEAD_AES_256_GCM",
}
