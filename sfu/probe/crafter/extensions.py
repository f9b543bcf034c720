"""Extensions of a ClientHello, each as the bytes a client would send."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sfu.probe.crafter import codes
from sfu.probe.crafter.vectors import numbers, vector
from sfu.probe.names import GROUPS, named

_Q = 3329  # the modulus of ML-KEM (FIPS 203 section 8)
_COEFFICIENTS = 768  # of an ML-KEM-768 encapsulation key: k = 3 polynomials of 256
_SEED_BYTES = 32


class Extension(NamedTuple):
    """A number and its content (RFC 8446 section 4.2)."""

    kind: int
    content: bytes


def supported_groups(*groups: int) -> Extension:
    """RFC 8422 section 5.1.1."""
    return Extension(codes.SUPPORTED_GROUPS, vector(numbers(groups), 2))


def ec_point_formats() -> Extension:
    """Uncompressed alone (RFC 8422 section 5.1.2)."""
    return Extension(codes.EC_POINT_FORMATS, vector(b"\0", 1))


def signature_algorithms(*schemes: int) -> Extension:
    """RFC 8446 section 4.2.3; the same numbers as RFC 5246's pairs of hash and signature."""
    return Extension(codes.SIGNATURE_ALGORITHMS, vector(numbers(schemes), 2))


def use_srtp(*profiles: int, mki: bytes = b"") -> Extension:
    """Profiles in the client's order, and the master key identifier it wants to prefix packets
    with (RFC 5764 sections 4.1.1 and 4.1.3).
    """
    return Extension(codes.USE_SRTP, vector(numbers(profiles), 2) + vector(mki, 1))


def extended_master_secret() -> Extension:
    """RFC 7627 section 5.1."""
    return Extension(codes.EXTENDED_MASTER_SECRET, b"")


def renegotiation_info() -> Extension:
    """That of an initial handshake: empty (RFC 5746 section 3.4)."""
    return Extension(codes.RENEGOTIATION_INFO, vector(b"", 1))


def session_ticket(ticket: bytes = b"") -> Extension:
    """Empty asks for a ticket (RFC 5077 section 3.2)."""
    return Extension(codes.SESSION_TICKET, ticket)


def supported_versions(*versions: int) -> Extension:
    """In the client's order (RFC 8446 section 4.2.1, RFC 9147 section 5.3)."""
    return Extension(codes.SUPPORTED_VERSIONS, vector(numbers(versions), 1))


def key_share(shares: Mapping[int, bytes]) -> Extension:
    """One share per group (RFC 8446 section 4.2.8)."""
    entries = b"".join(numbers((group,)) + vector(share, 2) for group, share in shares.items())
    return Extension(codes.KEY_SHARE, vector(entries, 2))


def cookie(content: bytes) -> Extension:
    """What a HelloRetryRequest asked to be given back (RFC 8446 section 4.2.2)."""
    return Extension(codes.COOKIE, vector(content, 2))


def padding(length: int) -> Extension:
    """So many zeros (RFC 7685)."""
    return Extension(codes.PADDING, bytes(length))


def share(group: int) -> bytes:
    """A sound public value of `group`, whose private half is thrown away.

    Raises `ValueError` for a group the crafter has no shares for.
    """
    if group == codes.X25519:
        return x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    if group == codes.P_256:
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if group == codes.X25519_MLKEM768:  # the ML-KEM part comes first
        return _encapsulation_key() + share(codes.X25519)
    raise ValueError(f"no key share for group {named(GROUPS, group)}")


def _encapsulation_key() -> bytes:
    """1,184 bytes that pass the check of an ML-KEM-768 encapsulation key (FIPS 203 section 7.2):
    every 12-bit coefficient is below the modulus. The slight bias of `%` is no matter here.
    """
    entropy = os.urandom(2 * _COEFFICIENTS)
    packed = 0
    for index in range(_COEFFICIENTS):
        value = int.from_bytes(entropy[2 * index : 2 * index + 2], "little") % _Q
        packed |= value << (12 * index)
    return packed.to_bytes(_COEFFICIENTS * 12 // 8, "little") + os.urandom(_SEED_BYTES)
