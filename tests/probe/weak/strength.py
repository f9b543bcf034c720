"""How strong the test's server is: by default as the standard policy wants it, weakened at will."""

from __future__ import annotations

from dataclasses import dataclass

ECDSA_SUITES = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA"
SIGNATURES = "ECDSA+SHA256:ECDSA+SHA384:rsa_pss_rsae_sha256:RSA+SHA256"


@dataclass(frozen=True)
class Strength:
    """One server's habits. Every field left alone is the strong one."""

    # DTLS
    oldest: int = 0xFEFD
    newest: int = 0xFEFD
    suites: str = ECDSA_SUITES
    own_order: bool = True  # else the client's
    groups: str = "X25519:P-256:P-384"
    signatures: str = SIGNATURES
    keys: tuple[str, ...] = ("ecdsa-p256",)  # of its certificates
    tickets: bool = False
    sessions: bool = False  # kept, and resumed by identifier
    renegotiates: bool = False
    resends: bool = True
    extended_master_secret: bool = True  # required
    # Who the client is
    client_keys: tuple[str, ...] = ("ecdsa-p256", "ecdsa-p384", "rsa-2048")
    certificate: bool = True  # required
    dates: bool = False  # looked at
    fingerprints: str = "every"  # must match; or "any", or "none" is looked at
    digests: tuple[str, ...] = ("sha-256", "sha-384", "sha-512")
    several_fingerprints: bool = True  # taken
    fingerprint_required: bool = True
    own_fingerprint: bool = True  # the one it announces is of its certificate
    # Addresses
    bound_only: bool = True
    passwords: bool = True  # looked at
    factor: float = 3.0
    keeps_addresses: bool = True
    # SRTP
    profiles: str = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
    srtp_required: bool = True
    plaintext: bool = False  # taken as media
    early_plaintext: bool = False  # taken as media until there are keys
    tags: bool = True  # looked at
    replay: bool = False  # taken
    anybodys_keys: bool = False  # open it
    any_ssrc: bool = False
    roll_over: bool = True  # understood
    plaintext_control: bool = False  # obeyed
    forwards: bool = True
