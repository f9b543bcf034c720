"""Our SRTP and libsrtp, each opening what the other sealed, under both profiles."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from pylibsrtp import Error, Policy, Session

from sfu._relay import oracle

if TYPE_CHECKING:
    from sfu._relay import Profile

PROFILES: list[Profile] = ["AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"]
LIBSRTP = {
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 12),
    "AES128_CM_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 14),
}
SSRC = 0x1234ABCD


@dataclass
class Pair:
    ours: oracle.Srtp
    sending: Session
    receiving: Session


@pytest.fixture(params=PROFILES)
def pair(request: pytest.FixtureRequest) -> Pair:
    profile: Profile = request.param
    libsrtp_profile, salt_len = LIBSRTP[profile]
    key, salt = bytes(range(16)), bytes(range(100, 100 + salt_len))

    def session(direction: int) -> Session:
        policy = Policy(key=key + salt, ssrc_type=direction, srtp_profile=libsrtp_profile)
        policy.window_size = 1024
        return Session(policy)

    return Pair(
        ours=oracle.Srtp(profile=profile, key=key, salt=salt),
        sending=session(Policy.SSRC_ANY_OUTBOUND),
        receiving=session(Policy.SSRC_ANY_INBOUND),
    )


def rtp(sequence: int, payload: bytes, *, extension: bytes | None = None) -> bytes:
    first = 0x80 if extension is None else 0x90
    head = bytes([first, 111]) + sequence.to_bytes(2, "big")
    head += (sequence * 960 % 2**32).to_bytes(4, "big") + SSRC.to_bytes(4, "big")
    if extension is not None:
        head += b"\xbe\xde" + (len(extension) // 4).to_bytes(2, "big") + extension
    return head + payload


def test_libsrtp_opens_what_we_seal_across_a_roll_over(pair: Pair) -> None:
    dice = random.Random(1)
    for index in range(65_400, 65_700):
        extension = dice.randbytes(4 * dice.randrange(3)) if index % 2 else None
        plain = rtp(index % 65_536, dice.randbytes(dice.randrange(1_200)), extension=extension)
        assert pair.receiving.unprotect(pair.ours.seal_rtp(plain, index)) == plain


def test_we_open_what_libsrtp_seals_across_a_roll_over(pair: Pair) -> None:
    dice = random.Random(2)
    for index in range(65_400, 65_700):
        plain = rtp(index % 65_536, dice.randbytes(dice.randrange(1_200)))
        assert pair.ours.open_rtp(pair.sending.protect(plain)) == (index, plain)


def test_both_open_each_others_rtcp(pair: Pair) -> None:
    for index in range(1, 50):
        plain = oracle.rtcp_receiver_report(SSRC, []) + oracle.rtcp_cname(SSRC, "x" * index)
        assert pair.receiving.unprotect_rtcp(pair.ours.seal_rtcp(plain, index)) == plain
        assert pair.ours.open_rtcp(pair.sending.protect_rtcp(plain)) == plain


def test_both_take_the_same_packets_of_a_shuffled_and_repeated_stream(pair: Pair) -> None:
    dice = random.Random(3)
    sealed = [pair.sending.protect(rtp(n, b"word")) for n in range(3_000)]
    order = sorted(range(3_000), key=lambda n: n + dice.randrange(2_500))
    order += dice.sample(range(3_000), 1_000)
    for n in order:
        assert opens_ours(pair, sealed[n]) == opens_theirs(pair, sealed[n]), n


def test_a_flipped_bit_anywhere_is_noticed(pair: Pair) -> None:
    sealed = pair.sending.protect(rtp(7, b"attack at dawn"))
    for place in range(len(sealed)):
        forged = bytearray(sealed)
        forged[place] ^= 1
        assert not opens_ours(pair, bytes(forged)), place
    assert opens_ours(pair, sealed)


def opens_ours(pair: Pair, sealed: bytes) -> bool:
    try:
        pair.ours.open_rtp(sealed)
    except ValueError:
        return False
    return True


def opens_theirs(pair: Pair, sealed: bytes) -> bool:
    try:
        pair.receiving.unprotect(sealed)
    except Error:
        return False
    return True
