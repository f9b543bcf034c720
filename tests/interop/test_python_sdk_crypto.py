"""What a call's transports negotiate, by the server's record and by the client's own."""

from __future__ import annotations

import json
import time
import urllib.error
from typing import Any

import pytest

from tests.interop.sdk import Caller, Way, eventually
from tests.node import Node, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
GCM, SHA1 = "AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"
# Each name as a browser's statistics have it.
CLIENT_NAMES = {GCM: "AEAD_AES_128_GCM", SHA1: "AES_CM_128_HMAC_SHA1_80"}


@pytest.mark.parametrize(
    ("settings", "profile"),
    [
        pytest.param({"MEDIA__SRTP_PROFILES": GCM}, GCM, id=GCM),
        pytest.param({"MEDIA__SRTP_PROFILES": SHA1}, SHA1, id=SHA1),
        pytest.param({"POLICY": "strict"}, GCM, id="strict"),
    ],
)
async def test_a_tone_is_heard_under_each_policy(settings: dict[str, str], profile: str) -> None:
    async with (
        running_node(**settings) as node,
        Caller.joined(node, "tone", "ada") as ada,
        Caller.joined(node, "tone", "bob", way=Way.TWO) as bob,
    ):
        await ada.publish_tone(440)
        await bob.hears(ada, 440)
        for caller in (ada, bob):
            for transport in await node.transports(caller.token):
                assert transport["srtp_profile"] == profile
                assert transport["policy"] == settings.get("POLICY", "standard")


@pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
async def test_the_servers_record_is_what_the_client_has(node: Node, way: Way) -> None:
    room = f"record-{way.name}"
    began = time.time()
    async with (
        Caller.joined(node, room, "ada", way=way) as ada,
        Caller.joined(node, room, "bob", way=way) as bob,
    ):
        await ada.publish_tone(440)
        await bob.publish_tone(550)
        await bob.hears(ada, 440)
        await ada.hears(bob, 550)
        transports = await node.transports(ada.token)
        roles = [transport["role"] for transport in transports]
        assert roles == (["single"] if way is Way.ONE else ["publisher", "subscriber"])
        for transport in transports:
            assert transport["state"] == "connected"
            assert transport["dtls_version"] == "DTLS 1.2"
            assert transport["cipher_suite"] == SUITE
            assert transport["group"] in ("X25519", "P-256")
            assert transport["extended_master_secret"] is True
            assert transport["signature"].startswith("ecdsa_")
            assert transport["peer_signature"].startswith(("ecdsa_", "rsa_pss_"))
            assert transport["flights"] >= 4
            assert transport["handshake_ms"] > 0
            assert began <= transport["keyed_at"] <= time.time()
            stats = await ada.room.get_rtc_stats()
            subscriber = transport["role"] == "subscriber"
            theirs = _transport(stats.subscriber_stats if subscriber else stats.publisher_stats)
            assert theirs["tls_version"] == "FEFD"
            assert theirs["dtls_cipher"] == transport["cipher_suite"]
            assert theirs["srtp_cipher"] == CLIENT_NAMES[transport["srtp_profile"]]
            assert theirs["local"] == transport["remote_fingerprint"]
            assert theirs["remote"] == transport["local_fingerprint"]


async def test_the_log_tells_how_each_transport_is_encrypted_and_no_key() -> None:
    async with (
        running_node(LOG__FORMAT="json") as node,
        Caller.joined(node, "log", "ada", way=Way.TWO) as ada,
        Caller.joined(node, "log", "bob") as bob,
    ):
        await ada.publish_tone(440)
        await bob.hears(ada, 440)
        told: list[dict[str, Any]] = []

        async def all_told() -> bool:
            lines = [json.loads(line) for line in node.output().splitlines() if line[:1] == "{"]
            told[:] = [line for line in lines if line["event"] == "transport_connected"]
            return {line["role"] for line in told} == {"single", "publisher", "subscriber"}

        await eventually(all_told, "a transport is not in the log")
        for transport in await node.transports(ada.token):
            (line,) = [each for each in told if each["role"] == transport["role"]]
            for field in ("dtls_version", "cipher_suite", "group", "signature", "srtp_profile"):
                assert line[field] == transport[field]
            for end in ("local_fingerprint", "remote_fingerprint"):
                assert line[end] == "{algorithm} {value}".format(**transport[end])


async def test_a_bearer_sees_its_own_transports_only(node: Node) -> None:
    async with (
        Caller.joined(node, "own", "ada") as ada,
        Caller.joined(node, "own", "bob") as bob,
    ):
        await ada.publish_tone(440)
        await bob.hears(ada, 440)
        bodies = [await node.http("/v1/me/transport", token=each.token) for each in (ada, bob)]
        assert [body["participant"] for body in bodies] == [ada.sid, bob.sid]
        mine, theirs = (body["transports"][0]["remote_fingerprint"] for body in bodies)
        assert mine != theirs
        absent, _ = await node.token("own", "ada")  # the same name is another identity
        assert await _status(node, absent) == 404
        assert await _status(node, ada.token[:-4] + "AAAA") == 401
        assert await _status(node, None) == 401
        await ada.leave()

        async def gone() -> bool:
            return ada.identity not in bob.room.remote_participants

        await eventually(gone, "ada stayed")
        assert await _status(node, ada.token) == 404


async def _status(node: Node, token: str | None) -> int:
    with pytest.raises(urllib.error.HTTPError) as refused:
        await node.http("/v1/me/transport", token=token)
    return refused.value.code


def _transport(stats: list[Any]) -> dict[str, Any]:
    (transport,) = [each.transport.transport for each in stats if each.HasField("transport")]
    certificates = {
        each.certificate.rtc.id: each.certificate.certificate
        for each in stats
        if each.HasField("certificate")
    }

    def fingerprint(number: str) -> dict[str, str]:
        certificate = certificates[number]
        return {
            "algorithm": certificate.fingerprint_algorithm,
            "value": certificate.fingerprint,
        }

    return {
        "tls_version": transport.tls_version,
        "dtls_cipher": transport.dtls_cipher,
        "srtp_cipher": transport.srtp_cipher,
        "local": fingerprint(transport.local_certificate_id),
        "remote": fingerprint(transport.remote_certificate_id),
    }
