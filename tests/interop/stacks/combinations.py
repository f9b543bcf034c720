"""What a policy allows, by the names in the server's record of a transport."""

from __future__ import annotations

from itertools import product

GCM_SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
CBC_SUITE = "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"
GCM_PROFILE = "AEAD_AES_128_GCM"
SHA1_PROFILE = "AES128_CM_HMAC_SHA1_80"

ALLOWED = {
    "standard": {
        "suite": {GCM_SUITE, CBC_SUITE},
        "profile": {GCM_PROFILE, SHA1_PROFILE},
        "group": {"X25519", "P-256", "P-384"},
    },
    "strict": {
        "suite": {GCM_SUITE},
        "profile": {GCM_PROFILE},
        "group": {"X25519", "P-256"},
    },
}

# What else clients call them.
PROFILE_NAMES = {
    GCM_PROFILE: ("SRTP_AEAD_AES_128_GCM",),
    SHA1_PROFILE: (
        "AES_CM_128_HMAC_SHA1_80",
        "SRTP_AES128_CM_HMAC_SHA1_80",
        "SRTP_AES128_CM_SHA1_80",
    ),
}

COMBINATIONS = tuple(product((GCM_SUITE, CBC_SUITE), (GCM_PROFILE, SHA1_PROFILE)))
