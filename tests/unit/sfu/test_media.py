"""The media plane: its door, what it hears from the relay, and what it survives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sfu.candidates import candidates
from sfu.commands import AddDowntrack, ClosePeer
from sfu.crypto_policy import STRICT
from sfu.events import ConsentLost, Done, Dtls, Expired, Levels, TrackStarted, WorkerDied
from sfu.media import PeerRefused
from sfu.negotiation import Announced
from sfu.options import MediaOptions
from sfu.peer import Role
from sfu.transport import TransportState
from tests.unit.sfu.dtls_client import Client
from tests.unit.sfu.fake_relay import Stage
from tests.unit.sfu.sections import AUDIO_IN, AUDIO_OUT

MIC = [Announced("TR_mic", "mic", "audio")]


class Loudness:
    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    def on_levels(self, changes: Sequence[tuple[str, float]]) -> None:
        self.heard += changes


async def test_the_door_closes_at_the_limit() -> None:
    stage = Stage(max_peers=2)
    await stage.plane.start()
    first = stage.open()
    stage.open()
    with pytest.raises(PeerRefused) as caught:
        stage.open()
    assert caught.value.code == "server_full"
    first.peer.close()
    stage.open()
    assert stage.plane.counters().peers == 2
    await stage.plane.close()


async def test_loudness_is_told_by_track_name(stage: Stage) -> None:
    loudness = Loudness()
    alice = stage.open()
    alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    (track,) = alice.tracks()
    stage.relay.push(Levels([(track.track, 0.5)]))  # before anyone listens
    await stage.settle()
    stage.plane.listen(loudness)
    stage.relay.push(Levels([(track.track, 0.75), (999_999, 1.0)]))
    stage.relay.push(TrackStarted(track.track))
    await stage.settle()
    assert loudness.heard == [("TR_mic", 0.75)]


@pytest.mark.parametrize(
    ("event", "code"), [(ConsentLost, "consent_lost"), (Expired, "authority_expired")]
)
async def test_a_peer_the_relay_gave_up_is_told_so(
    stage: Stage, event: type[ConsentLost | Expired], code: str
) -> None:
    one, other = stage.open(), stage.open()
    stage.relay.push(event(one.peer.number))
    stage.relay.push(event(123_456))  # nobody's
    await stage.settle()
    assert one.heard.failures == [code]
    assert other.heard.failures == []
    assert stage.relay.take(ClosePeer) == [ClosePeer(peer=one.peer.number)]


async def test_a_command_the_relay_refuses_ends_the_peer_it_was_for(stage: Stage) -> None:
    alice, bob = stage.open(), stage.open()
    alice.peer.answer(alice.offer(AUDIO_OUT), MIC)
    stage.relay.errors[AddDowntrack] = "limit_reached"
    bob.peer.subscribe("TR_mic", "PA|TR_mic")
    bob.peer.answer(bob.offer(AUDIO_IN), [])
    await stage.settle()
    assert bob.heard.failures == ["relay_limit_reached"]
    assert alice.heard.failures == []
    assert stage.plane.counters().counters["commands_refused"] == 1


async def test_a_relay_that_does_not_keep_up_ends_whoever_it_refuses(stage: Stage) -> None:
    one = stage.open()
    stage.relay.refuse = "relay_overloaded"
    one.peer.set_not_after(1)
    assert one.heard.failures == []  # never from within a call
    await stage.settle()
    assert one.heard.failures == ["relay_overloaded"]


async def test_a_dead_worker_takes_its_peers_along_and_another_begins(stage: Stage) -> None:
    one, two = stage.open(), stage.open()
    first = stage.relay
    first.push(WorkerDied("panicked"))
    first.push(ConsentLost(one.peer.number))
    await stage.settle()
    assert one.heard.failures == two.heard.failures == ["media_restarted"]
    assert first.closed
    assert stage.relay is not first
    three = stage.open()
    three.peer.answer(three.offer(AUDIO_OUT), MIC)
    await three.shake()
    assert three.heard.connected == 1
    one.peer.close()
    two.peer.close()
    counters = stage.plane.counters()
    assert (counters.peers, counters.counters["workers_died"]) == (1, 1)


async def test_a_worker_that_cannot_start_again_refuses_peers_until_it_can(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_options: MediaOptions) -> None:
        raise OSError("address in use")

    first = stage.relay
    monkeypatch.setattr(stage, "_open", broken)
    first.push(WorkerDied("panicked"))
    await stage.settle()
    with pytest.raises(PeerRefused) as caught:
        stage.open()
    assert caught.value.code == "media_unavailable"
    monkeypatch.undo()
    assert stage.open().heard.failures == []


async def test_events_of_unknown_peers_and_tickets_are_passed_over(stage: Stage) -> None:
    one = stage.open()
    stage.relay.push(Dtls(555, b"\x16"))
    stage.relay.push(Done(555, "unknown_peer", 0))
    await stage.settle()
    assert one.heard.failures == []


async def test_new_peers_get_the_new_certificate_and_running_ones_keep_theirs(stage: Stage) -> None:
    def fingerprint(sdp: str) -> str:
        return next(line for line in sdp.splitlines() if line.startswith("a=fingerprint"))

    old = stage.open()
    before = fingerprint(old.peer.answer(old.offer(AUDIO_OUT), MIC).sdp)
    await old.shake()
    stage.now += 24 * 3600
    new = stage.open()
    announced = [Announced("TR_two", "mic", "audio")]
    assert fingerprint(new.peer.answer(new.offer(AUDIO_OUT), announced).sdp) != before
    assert fingerprint(old.peer.answer(old.offer(AUDIO_OUT), []).sdp) == before
    assert old.peer.report().state is TransportState.CONNECTED
    assert stage.plane.certificate_age == 0


async def test_the_policy_holds_on_every_transport() -> None:
    stage = Stage(policy=STRICT)
    await stage.plane.start()
    for role in (Role.SINGLE, Role.PUBLISHER):
        one = stage.open(role)
        one.client = Client(profiles="SRTP_AES128_CM_SHA1_80")
        one.peer.answer(one.offer(AUDIO_OUT), [])
        await one.shake()
        assert one.heard.failures == ["dtls_no_srtp_profile"]
        assert one.peer.report().policy == "strict"
    await stage.plane.close()


async def test_closing_the_plane_closes_everything_once() -> None:
    stage = Stage()
    await stage.plane.start()
    one = stage.open()
    await stage.plane.close()
    await stage.plane.close()
    assert one.peer.report().state is TransportState.CLOSED
    assert stage.relay.closed
    assert stage.plane.counters().peers == 0


async def test_counters_are_the_relays_and_ours(stage: Stage) -> None:
    counted = stage.plane.counters().counters
    assert counted["packets_in"] == 7
    assert counted["dtls_queue_dropped"] == 0


# --- candidates ----------------------------------------------------------------------------------

MACHINE = [
    ("lo", "127.0.0.1"),
    ("lo", "::1"),
    ("eth0", "10.0.0.5"),
    ("eth0", "fe80::1"),
    ("eth0", "2001:db8::5"),
    ("wg0", "10.9.9.1"),
]


def reached(
    binds: Sequence[str], *, advertise: Sequence[str] = (), interfaces: Sequence[str] = ()
) -> list[tuple[str, int]]:
    settings = MediaOptions(
        binds=tuple(binds), advertise=tuple(advertise), interfaces=tuple(interfaces)
    )
    found = candidates([(bind, 7882) for bind in binds], settings, lambda: MACHINE)
    priorities = [one.priority for one in found]
    assert priorities == sorted(priorities, reverse=True)
    assert len({one.foundation for one in found}) == len(found)
    return [(one.ip, one.port) for one in found]


def test_loopback_is_announced_only_when_bound_to_it() -> None:
    assert reached(["127.0.0.1"]) == [("127.0.0.1", 7882)]
    assert reached(["0.0.0.0"]) == [("10.0.0.5", 7882), ("10.9.9.1", 7882)]


def test_link_local_addresses_are_left_out() -> None:
    assert reached(["::"]) == [("2001:db8::5", 7882)]


def test_interfaces_can_be_chosen() -> None:
    assert reached(["0.0.0.0", "::"], interfaces=["eth0"]) == [
        ("10.0.0.5", 7882),
        ("2001:db8::5", 7882),
    ]


def test_advertised_addresses_stand_instead_of_ours() -> None:
    advertised = ["198.51.100.7", "2001:db8::7"]
    assert reached(["0.0.0.0"], advertise=advertised) == [("198.51.100.7", 7882)]
    assert reached(["10.0.0.5", "::"], advertise=advertised) == [
        ("198.51.100.7", 7882),
        ("2001:db8::7", 7882),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"binds": ()},
        {"binds": ("localhost",)},
        {"advertise": ("example.org",)},
        {"port": 70000},
        {"coalesce_us": -1},
        {"coalesce_us": 1001},
    ],
    ids=str,
)
def test_mistaken_options_are_refused(options: dict[str, object]) -> None:
    mistaken: Any = options
    with pytest.raises(ValueError, match=r"bind|address|port|wait"):
        MediaOptions(**mistaken)
