"""Peers that offer only what the policy refuses fail their own handshake, and nothing else."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from livekit.protocol import models, rtc

from tests.interop.sdk import eventually
from tests.security import offers
from tests.security.conftest import World
from tests.security.running import ROOM
from tests.security.transport import Transport
from tests.security.visitor import Visitor
from tests.unit.sfu.dtls_client import DTLS_1_0, NO_EXTENDED_MASTER_SECRET, Client, rsa_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

RSA_SUITE = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"


@dataclass(frozen=True)
class Refused:
    """What a client offers, and the word its refusal goes under."""

    code: str
    offered: dict[str, Any] = field(default_factory=dict)
    announced: str = ""  # instead of the true fingerprint
    algorithm: str = "sha-256"


REFUSED = {
    "only CHACHA20-POLY1305": Refused(
        "dtls_no_common_suite", {"suites": "ECDHE-ECDSA-CHACHA20-POLY1305"}
    ),
    "only AES-256-GCM": Refused(
        "dtls_no_common_suite", {"suites": "ECDHE-ECDSA-AES256-GCM-SHA384"}
    ),
    "only P-521 and X448": Refused(
        "dtls_no_common_group",
        {"groups": "P-521:X448", "suites": RSA_SUITE, "key": rsa_key(2048)},
    ),
    "no extended master secret": Refused(
        "dtls_no_extended_master_secret", {"options": NO_EXTENDED_MASTER_SECRET}
    ),
    "only SHA1_32 for SRTP": Refused(
        "dtls_no_srtp_profile", {"profiles": "SRTP_AES128_CM_SHA1_32"}
    ),
    "only AES-256 for SRTP": Refused("dtls_no_srtp_profile", {"profiles": "SRTP_AEAD_AES_256_GCM"}),
    "no SRTP at all": Refused("dtls_no_srtp_profile", {"profiles": None}),
    "DTLS 1.0": Refused("dtls_version", {"version": DTLS_1_0, "suites": "ECDHE-ECDSA-AES256-SHA"}),
    "no certificate": Refused("dtls_certificate_missing", {"certificate": False}),
    "an RSA key of 1024 bits": Refused("dtls_certificate_weak", {"key": rsa_key(1024)}),
    "a key on P-521": Refused(
        "dtls_certificate_weak",
        {"key": ec.generate_private_key(ec.SECP521R1()), "groups": "X25519:P-256:P-521"},
    ),
    "somebody else's fingerprint": Refused(
        "dtls_fingerprint_mismatch", announced=offers.FINGERPRINT
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_refused_handshake_is_told_logged_and_counted_and_nobody_else_notices(
    world: World, kind: str
) -> None:
    refused = REFUSED[kind]
    client = Client(**refused.offered)
    fingerprint = refused.announced or client.fingerprint().value
    offer = offers.listening(offers.LocalSide(fingerprint))
    before = _handshakes(await world.node.metrics())
    async with (
        world.call.untouched(),
        Visitor.joined(world.node, world.mint.token(ROOM), offer=offer) as visitor,
    ):
        sid = visitor.heard[0].join.participant.sid
        remote = offers.remote_side((await visitor.next("answer")).sdp)
        world.mint.canaries |= {remote.ufrag, remote.password}
        async with Transport.bound(remote, client) as transport:
            shaking = asyncio.create_task(transport.handshake())
            said, leave = await visitor.sent_away()
            alert = await shaking
    # TLS 1.2: a client without a say in what comes last may think that it is done
    assert "alert" in alert or "handshake failure" in alert or alert == "", alert
    assert said.startswith(f"{refused.code}: ")
    assert leave.reason == models.DisconnectReason.JOIN_FAILURE
    assert leave.action == rtc.LeaveRequest.Action.DISCONNECT
    told: list[str] = []

    async def counted_and_told() -> bool:
        after.update(_handshakes(await world.node.metrics()))
        told[:] = [line for line in world.node.output().splitlines() if _tells_failure(line, sid)]
        return after.get(refused.code, 0) > before.get(refused.code, 0) and bool(told)

    after: dict[str, int] = {}
    await eventually(counted_and_told, f"{refused.code} was neither counted nor told")
    assert after == before | {refused.code: before.get(refused.code, 0) + 1}
    (line,) = told
    assert refused.code in line


async def test_a_fingerprint_by_sha_1_alone_is_refused_before_any_handshake(world: World) -> None:
    client = Client()
    local = offers.LocalSide(client.fingerprint("sha-1").value, algorithm="sha-1")
    async with (
        world.call.untouched(),
        Visitor.joined(
            world.node, world.mint.token(ROOM), offer=offers.listening(local)
        ) as visitor,
    ):
        said, leave = await visitor.sent_away()
        assert said == ("sdp_weak_fingerprint: No certificate fingerprint is as strong as SHA-256.")
        assert leave.action == rtc.LeaveRequest.Action.DISCONNECT


PROFILES = {
    "SRTP_AEAD_AES_128_GCM": "AEAD_AES_128_GCM",
    "SRTP_AES128_CM_SHA1_80": "AES128_CM_HMAC_SHA1_80",
}
SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-SHA": "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
}
# P-256 is in each offer: without it a client could not check our certificate (RFC 8422 5.1.1).
GROUPS = {"X25519:P-256": "X25519", "P-384:P-256": "P-256", "P-521:P-256": "P-256"}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("groups", GROUPS)
async def test_every_combination_of_the_policy_connects_and_can_be_asked_for(
    world: World, suite: str, profile: str, groups: str
) -> None:
    client = Client(suites=suite, profiles=profile, groups=groups)
    offer = offers.listening(offers.LocalSide(client.fingerprint().value))
    token = world.mint.token("canary-room")
    async with Visitor.joined(world.node, token, offer=offer) as visitor:
        remote = offers.remote_side((await visitor.next("answer")).sdp)
        async with Transport.bound(remote, client) as transport:
            assert await transport.handshake() == ""
            await visitor.active()
            (recorded,) = await world.node.transports(token)
            assert recorded["cipher_suite"] == SUITES[suite]
            assert recorded["group"] == GROUPS[groups]
            assert recorded["srtp_profile"] == PROFILES[profile]
            assert recorded["extended_master_secret"] is True
            assert recorded["remote_fingerprint"]["value"] == client.fingerprint().value
        sid = visitor.heard[0].join.participant.sid
        assert [
            line for line in world.node.output().splitlines() if _tells_failure(line, sid)
        ] == []


def _handshakes(metrics: dict[str, float]) -> dict[str, int]:
    found = {}
    for name, value in metrics.items():
        if match := re.fullmatch(r'conclave_handshakes_total\{outcome="(\w+)"\}', name):
            found[match[1]] = int(value)
    return found


def _tells_failure(line: str, sid: str) -> bool:
    return sid in line and "transport_failed" in line


async def test_a_client_that_closes_its_transport_and_stays_is_asked_to_join_again(
    world: World,
) -> None:
    client = Client()
    offer = offers.listening(offers.LocalSide(client.fingerprint().value))
    token = world.mint.token("canary-room")
    async with Visitor.joined(world.node, token, offer=offer) as visitor:
        remote = offers.remote_side((await visitor.next("answer")).sdp)
        async with Transport.bound(remote, client) as transport:
            assert await transport.handshake() == ""
            await visitor.active()
            transport.goodbye()
            leave = await visitor.next("leave")
    assert leave.action == rtc.LeaveRequest.Action.RECONNECT
