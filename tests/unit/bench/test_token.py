"""Tokens are LiveKit's, checked with LiveKit's own library."""

from __future__ import annotations

import pytest
from livekit.api import TokenVerifier

from bench.loadgen.token import access_token


def test_livekit_accepts_the_token() -> None:
    token = access_token("key", "s" * 32, "room", "somebody")
    claims = TokenVerifier("key", "s" * 32).verify(token)
    assert claims.identity == "somebody"
    assert claims.video is not None
    assert (claims.video.room, claims.video.room_join) == ("room", True)


def test_livekit_refuses_it_under_another_secret() -> None:
    with pytest.raises(Exception, match=r"[Ss]ignature"):
        TokenVerifier("key", "t" * 32).verify(access_token("key", "s" * 32, "room", "somebody"))
