"""SRTP as somebody opens it who does not look at the tag (RFC 3711 section 4.3, RFC 7714)."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HEADER = 12  # bytes; the probe's packets have neither contributors nor extensions
TAG = 16
PLAIN_LENGTH = 76  # bytes of the probe's RTP packets before sealing


def opened(master: bytes, packet: bytes) -> bytes:
    """The RTP packet in an AEAD_AES_128_GCM one, before any roll-over; whatever its tag is."""
    key, salt = master[:16], master[16:]
    session_key = _derived(key, salt, 0)[:16]
    session_salt = _derived(key, salt, 2)[:12]
    nonce = b"\0\0" + packet[8:12] + bytes(4) + packet[2:4]
    mixed = bytes(a ^ b for a, b in zip(nonce, session_salt, strict=True))
    # What GCM encrypts with, from its second block on, is AES in counter mode.
    decryptor = Cipher(algorithms.AES(session_key), modes.CTR(mixed + b"\0\0\0\2")).decryptor()
    return packet[:HEADER] + decryptor.update(packet[HEADER:-TAG])


def _derived(key: bytes, salt: bytes, label: int) -> bytes:
    """RFC 3711 section 4.3.1, 32 bytes of it."""
    padded = bytearray(salt.ljust(14, b"\0"))
    padded[7] ^= label
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(padded) + b"\0\0")).encryptor()
    return encryptor.update(bytes(32))
