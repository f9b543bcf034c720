"""The unmodified LiveKit Python SDK through a real node, its media recognised at the receiver."""

from __future__ import annotations

import pytest

from tests.interop.sdk import Caller, peak_hz
from tests.node import running_node


@pytest.mark.parametrize("profile", ["AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"])
async def test_a_tone_is_heard_under_either_srtp_profile(profile: str) -> None:
    async with (
        running_node(MEDIA__SRTP_PROFILES=profile) as node,
        Caller.joined(node, "tone", "speaker") as speaker,
        Caller.joined(node, "tone", "listener") as listener,
    ):
        await speaker.publish_tone(440)
        heard = await listener.hear(speaker.identity, seconds=1.0)
        assert peak_hz(heard) == pytest.approx(440, abs=3)
        for caller in (speaker, listener):
            (transport,) = await node.transports(caller.token)
            assert transport["srtp_profile"] == profile
            assert transport["dtls_version"] == "DTLS 1.2"
