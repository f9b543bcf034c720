"""The bare forwarder: libsrtp seals what it opens, and opens what it seals."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from pylibsrtp import Policy, Session

from bench.loadgen.calls import Clients, compare, venue
from bench.loadgen.dtls import PROFILES, SUITES, Identity
from bench.loadgen.servers import BareServer
from bench.loadgen.stage import Stage
from bench.loadgen.thinning import FULL_CORE
from bench.loadgen.windows import SETTLE, window
from bench.machine import ROOT
from bench.scenarios import Calls, FanOut, Gathering, Joins, Plan, Scenario
from tests.patience import PATIENCE

_CRATE: Final = ROOT / "bench/bare"
_PROFILES: Final = {
    "gcm": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 12),
    "cm": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 14),
}
SOURCE: Final = 0x01020304
HALF_A_CYCLE: Final = 30_000  # sequence numbers; receivers may take a longer step for one back

both_profiles = pytest.mark.parametrize("profile", _PROFILES)


@both_profiles
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_packet_reaches_everybody_with_an_ssrc_and_keys_of_their_own(
    program: Path, profile: str, host: str
) -> None:
    with forwarding(program, profile, sinks=3, host=host) as call:
        sent = rtp(sequence=7, payload=b"the same for all")
        call.send(sent)
        sealed = [sink.receive() for sink in call.sinks]
        opened = [sink.opens(one) for sink, one in zip(call.sinks, sealed, strict=True)]
    assert [ssrc_of(one) for one in sealed] == [sink.ssrc for sink in call.sinks]
    assert len({one[12:] for one in sealed}) == 3
    for one in opened:
        assert one[:2] + one[4:8] + one[12:] == sent[:2] + sent[4:8] + sent[12:]


@both_profiles
def test_what_comes_from_another_address_is_not_forwarded(program: Path, profile: str) -> None:
    with forwarding(program, profile) as call, call.stranger() as stranger:
        sealed = call.seals(rtp(1, b"in the wrong hands"))
        stranger.sendto(sealed, call.address)
        call.send(rtp(2, b"from its own"))
        assert call.sinks[0].hears() == b"from its own"


@both_profiles
def test_a_packet_that_does_not_authenticate_is_not_forwarded(program: Path, profile: str) -> None:
    with forwarding(program, profile) as call:
        sealed = call.seals(rtp(1, b"whole"))
        for place in (2, 13, len(sealed) - 1):  # sequence number, payload, tag
            call.put(flipped(sealed, place))
        call.put(sealed)
        assert call.sinks[0].hears() == b"whole"


@both_profiles
def test_what_is_no_packet_of_a_source_is_not_forwarded(program: Path, profile: str) -> None:
    with forwarding(program, profile) as call:
        strange = rtp(1, b"of nobody", ssrc=SOURCE + 1)
        report = struct.pack("!BBHI", 0x80, 200, 1, SOURCE) + bytes(20)
        endless = struct.pack("!BBHIIHH", 0x90, 96, 1, 0, SOURCE, 0xBEDE, 0xFFFF)
        for junk in (b"", b"\x80", bytes(2000), strange, report, endless, rtp(1, b"")):
            call.put(junk)
        call.send(rtp(2, b"of a source"))
        assert call.sinks[0].hears() == b"of a source"


@both_profiles
def test_sequence_numbers_roll_over_on_both_sides_each_at_its_own_time(
    program: Path, profile: str
) -> None:
    with forwarding(program, profile) as call:
        sink, heard, numbers = call.sinks[0], [], []
        for step in range(6):
            call.send(rtp(60_000 + step * HALF_A_CYCLE, b"%d" % step))
            packet = sink.opens(sink.receive())
            heard.append(packet[12:])
            numbers.append(int.from_bytes(packet[2:4], "big"))
    assert heard == [b"%d" % step for step in range(6)]
    steps = [(after - before) % 65_536 for before, after in pairwise(numbers)]
    assert steps == [HALF_A_CYCLE] * 5
    assert numbers != sorted(numbers)
    assert numbers[0] < 32_768


def test_a_packet_that_overtook_another_and_a_gap_stay_what_they_were(program: Path) -> None:
    with forwarding(program, "gcm") as call:
        for sequence in (10, 12, 11, 15):
            call.send(rtp(sequence, b""))
        sink = call.sinks[0]
        numbers = [sequence_of(sink.receive()) for _ in range(4)]
    assert [number - numbers[0] for number in numbers] == [0, 2, 1, 5]


@both_profiles
def test_bursts_of_any_sizes_arrive_whole_and_in_order(program: Path, profile: str) -> None:
    sizes = [1200, 1200, 1200, 800, 1200, 900, 900, 1000, 1, 0, 0, 1180] * 8
    with forwarding(program, profile, sinks=2) as call:
        sealed = [call.seals(rtp(at, bytes([at]) * size)) for at, size in enumerate(sizes)]
        for one in sealed:
            call.put(one)
        for sink in call.sinks:
            heard = [sink.hears() for _ in sizes]
            assert heard == [bytes([at]) * size for at, size in enumerate(sizes)]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "gathering", [FanOut(3), Calls(2, 3, "audio")], ids=["one to many", "calls"]
)
def test_the_load_generator_sends_by_it_and_gets_every_packet(
    program: Path, profile: str, gathering: Gathering
) -> None:
    with udp("127.0.0.1") as free:
        host, port = free.getsockname()
    server = BareServer(core=0, host=host, port=port, command=[str(program)])
    load = Scenario("short", "a few packets", gathering, "frames", rate=400, burst=8)
    plan = Plan(warm_up=0.1, window=0.3, repeats=2, silence=0, joins=Joins(0, 0, 1))
    clients = Clients(profile, SUITES[0], tells=False)
    seen = asyncio.run(compare({"bare": server}, plan, [load], clients))
    (cell,) = seen["cells"]
    _, window = cell["windows"]  # before the first, packets that found everybody are under way
    whole = window["whole"]
    assert whole["out"] == whole["expected"] > 0
    assert whole["checked"] > 0
    assert (whole["damaged"], whole["duplicates"]) == (0, 0)
    assert window["server_cpu"] > 0


def test_thinned_sockets_count_as_many_packets_as_were_sent(program: Path) -> None:
    with udp("127.0.0.1") as free:
        host, port = free.getsockname()
    server = BareServer(core=0, host=host, port=port, command=[str(program)])
    crowd = FanOut(3, rooms=2)
    load = Scenario("short", "more than one in so many", crowd, "frames", rate=800, burst=8)
    plan = Plan(warm_up=0.1, window=0.4, repeats=1, silence=0, joins=Joins(0, 0, 1))

    async def thinned() -> dict[str, Any]:
        identity = Identity(PROFILES["gcm"], SUITES[0])
        stage = Stage(partial(venue, server), identity, tells=False, loses=0)
        try:
            await stage.gather(crowd)
            await asyncio.sleep(SETTLE)
            stage.thin()
            return await window(stage, plan, load)
        finally:
            await stage.close()

    whole = asyncio.run(thinned())["whole"]
    assert whole["out"] == whole["expected"] > 10 * FULL_CORE
    assert 0 < whole["checked"] < whole["expected"] / 16
    assert (whole["damaged"], whole["duplicates"], whole["own_drops"]) == (0, 0, 0)


def test_it_ends_when_its_input_does(program: Path) -> None:
    with forwarding(program, "gcm") as call:
        pass
    assert call.process.returncode == 0


KEY: Final = {"key": "00" * 16, "salt": "00" * 12}
SINK: Final = {"to": "127.0.0.1:5000", "ssrc": 2, **KEY}
GOOD: Final = {"ssrc": 1, "from": "127.0.0.1:4000", **KEY, "sinks": [SINK]}


@pytest.mark.parametrize(
    ("sources", "why"),
    [
        ([{**GOOD, "key": "00"}], "the key of source 1 has 1 bytes instead of 16"),
        ([{**GOOD, "salt": "00" * 14}], "the salt of source 1 has 14 bytes instead of 12"),
        ([{**GOOD, "key": "xy"}], "a key or salt is not hexadecimal"),
        ([{**GOOD, "key": "000"}], "a key or salt is not hexadecimal"),
        ([{**GOOD, "from": "localhost"}], "invalid socket address"),
        ([{**GOOD, "ssrc": -1}], "invalid value"),
        ([{**GOOD, "colour": 1}], "unknown field `colour`"),
        ([GOOD, GOOD], "source 1 is there twice"),
        ([{**GOOD, "sinks": [SINK, SINK]}], "sink 2 of source 1 has key, salt and SSRC of another"),
        ([{**GOOD, "sinks": [{"ssrc": 2}]}], "missing field"),
        ([{**GOOD, "sinks": [{**SINK, "to": "[::1]:5000"}]}], "another IP version than its source"),
    ],
)
def test_a_bad_plan_is_refused_with_a_sentence(program: Path, sources: Any, why: str) -> None:
    done = refused(program, json.dumps({"profile": "gcm", "sources": sources}))
    assert done.startswith("bare: bad plan: ")
    assert why in done


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "bad plan: EOF while parsing"),
        ("[]\n", "bad plan: "),
        ('{"profile": "aes", "sources": []}\n', "unknown variant `aes`, expected `gcm` or `cm`"),
    ],
)
def test_what_is_no_plan_is_refused_with_a_sentence(program: Path, text: str, why: str) -> None:
    assert why in refused(program, text)


@pytest.mark.parametrize("words", [[], ["--listen"], ["--listen", "here"], ["--help", "me"]])
def test_a_command_it_does_not_know_is_answered_with_its_usage(
    program: Path, words: list[str]
) -> None:
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("usage: bare --listen IP:PORT")


# --- What the tests play with ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def program() -> Path:
    """The forwarder, compiled when it is not there yet."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "sfu/relay/target"))
    subprocess.run(
        ["cargo", "build", "--locked", "--quiet", "--manifest-path", _CRATE / "Cargo.toml"],
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        check=True,
    )
    return target / "debug/bare"


@dataclass
class Sink:
    """Somebody who gets a stream."""

    end: socket.socket
    ssrc: int
    session: Session

    def receive(self) -> bytes:
        return self.end.recv(4096)

    def opens(self, sealed: bytes) -> bytes:
        return self.session.unprotect(sealed)

    def hears(self) -> bytes:
        """The payload of the next packet."""
        return self.opens(self.receive())[12:]


@dataclass
class Call:
    """One source, its sinks and the forwarder between them."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    end: socket.socket
    session: Session
    sinks: list[Sink] = field(default_factory=list)

    def seals(self, packet: bytes) -> bytes:
        return self.session.protect(packet)

    def put(self, datagram: bytes) -> None:
        self.end.sendto(datagram, self.address)

    def send(self, packet: bytes) -> None:
        self.put(self.seals(packet))

    def stranger(self) -> socket.socket:
        """Another socket of the same host."""
        return udp(self.address[0])


@contextmanager
def forwarding(
    program: Path, profile: str, sinks: int = 1, host: str = "127.0.0.1"
) -> Iterator[Call]:
    """One source and so many sinks, for the time of the block."""
    listening = udp(host)
    address = listening.getsockname()[:2]
    listening.close()
    source, secret = udp(host), Secret(profile)
    receivers = [(udp(host), 100 + number, Secret(profile)) for number in range(sinks)]
    plan = {
        "profile": profile,
        "sources": [
            {
                "ssrc": SOURCE,
                "from": named(source),
                **secret.told(),
                "sinks": [
                    {"to": named(sock), "ssrc": ssrc, **theirs.told()}
                    for sock, ssrc, theirs in receivers
                ],
            }
        ],
    }
    shown = f"[{address[0]}]" if ":" in host else address[0]
    process = subprocess.Popen(
        [program, "--listen", f"{shown}:{address[1]}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(plan).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        yield Call(
            process,
            address,
            source,
            secret.session(Policy.SSRC_ANY_OUTBOUND),
            [
                Sink(sock, ssrc, theirs.session(Policy.SSRC_ANY_INBOUND))
                for sock, ssrc, theirs in receivers
            ],
        )
    finally:
        process.stdin.close()
        process.wait(PATIENCE)
        process.stdout.close()
        for sock in (source, *(sock for sock, _, _ in receivers)):
            sock.close()


class Secret:
    """A master key and salt."""

    def __init__(self, profile: str) -> None:
        self._libsrtp, salt = _PROFILES[profile]
        self._key, self._salt = os.urandom(16), os.urandom(salt)

    def told(self) -> dict[str, str]:
        return {"key": self._key.hex(), "salt": self._salt.hex()}

    def session(self, direction: int) -> Session:
        policy = Policy(key=self._key + self._salt, ssrc_type=direction, srtp_profile=self._libsrtp)
        return Session(policy)


def refused(program: Path, text: str) -> str:
    """What it says of this input, on which it must end with code 2."""
    done = subprocess.run(
        [program, "--listen", "127.0.0.1:0"],
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def udp(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    sock.bind((host, 0))
    return sock


def named(sock: socket.socket) -> str:
    host, port, *_ = sock.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def rtp(sequence: int, payload: bytes, ssrc: int = SOURCE) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, 3000, ssrc) + payload


def flipped(datagram: bytes, place: int) -> bytes:
    changed = bytearray(datagram)
    changed[place] ^= 1
    return bytes(changed)


def ssrc_of(packet: bytes) -> int:
    return int.from_bytes(packet[8:12], "big")


def sequence_of(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")
