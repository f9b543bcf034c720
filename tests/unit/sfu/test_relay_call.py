"""The relay as built, over real sockets on loopback: aioice's STUN and libsrtp around it."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import pytest
from aioice import stun
from pylibsrtp import Policy, Session

from sfu import _relay
from sfu._relay import Relay

if TYPE_CHECKING:
    from sfu._relay import Profile

PROFILES: list[Profile] = ["AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"]
LIBSRTP = {
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 12),
    "AES128_CM_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 14),
}
PATIENCE = 10.0  # seconds until a test gives up; nothing here takes more than milliseconds
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"

Event = TypeVar("Event")


class Client:
    """A peer with a socket of its own; answers the relay's questions while it waits."""

    def __init__(self, desk: Desk, number: int, profile: Profile, host: str) -> None:
        self.desk, self.number, self.profile = desk, number, profile
        self.server = next(at for at in desk.relay.addresses if (":" in at[0]) == (":" in host))
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(PATIENCE)
        self.ufrags = f"server{number}", f"client{number}"
        self.passwords = f"server-password-of-{number:04}", f"client-password-of-{number:04}"
        profile_number, salt_len = LIBSRTP[profile]
        self.sent_key = bytes([number]) * 16, bytes([number + 1]) * salt_len
        self.received_key = bytes([number + 2]) * 16, bytes([number + 3]) * salt_len
        self.sealing = Session(
            Policy(b"".join(self.sent_key), Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile_number)
        )
        received = b"".join(self.received_key)
        self.opening = Session(
            Policy(received, Policy.SSRC_ANY_INBOUND, srtp_profile=profile_number)
        )

    def connect(self) -> None:
        ours, theirs = zip(self.ufrags, self.passwords, strict=True)
        self.desk.carry_out(
            _relay.OpenPeer(peer=self.number, ufrag=ours[0], password=ours[1]),
            _relay.SetRemoteIce(peer=self.number, ufrag=theirs[0], password=theirs[1]),
        )
        self.check()
        assert self.receive()[0] == 1, "a success response"
        self.send(b"\x16 as if DTLS")
        event = self.desk.wait_for(_relay.Dtls)
        assert (event.peer, event.datagram) == (self.number, b"\x16 as if DTLS")
        self.answer_question()
        self.desk.carry_out(_relay.SendDtls(peer=self.number, datagrams=[b"\x16 answer"]))
        assert self.receive() == b"\x16 answer"
        self.desk.carry_out(
            _relay.InstallKeys(
                peer=self.number,
                profile=self.profile,
                local_key=self.received_key[0],
                local_salt=self.received_key[1],
                remote_key=self.sent_key[0],
                remote_salt=self.sent_key[1],
            )
        )

    def check(self) -> None:
        request = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={
                "USERNAME": ":".join(self.ufrags),
                "PRIORITY": 1,
                "ICE-CONTROLLING": 1,
                "USE-CANDIDATE": None,
            },
        )
        request.add_message_integrity(self.passwords[0].encode())
        self.send(bytes(request))

    def answer_question(self) -> None:
        question = stun.parse_message(self.receive())
        assert question.message_class is stun.Class.REQUEST
        assert question.check_message_integrity(self.passwords[1].encode())
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=question.transaction_id,
            attributes={"XOR-MAPPED-ADDRESS": ("127.0.0.1", 1)},
        )
        answer.add_message_integrity(self.passwords[1].encode())
        self.send(bytes(answer))

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.server)

    def receive(self) -> bytes:
        return self.socket.recv(2048)

    def speak(self, sequence: int, payload: bytes) -> None:
        head = b"\x80\x6f" + sequence.to_bytes(2, "big") + (960 * sequence).to_bytes(4, "big")
        self.send(self.sealing.protect(head + (0xA).to_bytes(4, "big") + payload))

    def hear(self) -> bytes:
        """The next RTP packet, opened."""
        while True:
            datagram = self.receive()
            if datagram[0] >> 6 == 2 and not 192 <= datagram[1] <= 223:
                return self.opening.unprotect(datagram)


class Desk:
    """The control plane's side: gives commands and keeps events until they are asked for."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.events: list[object] = []

    def carry_out(self, *commands: _relay.Command) -> None:
        ticket = self.relay.apply(commands)
        done = self.wait_for(_relay.Done)
        assert (done.ticket, done.error, done.failed_at) == (ticket, None, None)

    def wait_for(self, kind: type[Event]) -> Event:
        """The oldest event of a kind; waits until the descriptor becomes readable."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    self.events.remove(event)
                    return event
            readable, _, _ = select.select([self.relay.event_fd], [], [], PATIENCE)
            assert readable, f"no {kind.__name__} came"
            self.events += self.relay.poll_events()


@pytest.fixture
def desk() -> Iterator[Desk]:
    relay = Relay(binds=[("127.0.0.1", 0), ("::1", 0)])
    yield Desk(relay)
    relay.close()


def track(peer: int) -> _relay.AddTrack:
    return _relay.AddTrack(
        track=1,
        peer=peer,
        kind="audio",
        mid="0",
        clock_rate=48_000,
        formats=[(111, "opus")],
        extensions=[(4, MID)],
        encodings=[0xA],
    )


def downtrack(peer: int, number: int = 1) -> _relay.AddDowntrack:
    return _relay.AddDowntrack(
        downtrack=number,
        peer=peer,
        track=1,
        ssrc=0xD0 + number,
        formats=[(100, "opus")],
        extensions=[],
        cname="somebody",
        nack=False,
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("subscriber_profile", PROFILES)
@pytest.mark.parametrize("publisher_profile", PROFILES)
def test_one_speaks_and_another_hears(
    desk: Desk, publisher_profile: Profile, subscriber_profile: Profile, host: str
) -> None:
    speaker = Client(desk, 1, publisher_profile, "127.0.0.1")
    listener = Client(desk, 11, subscriber_profile, host)
    speaker.connect()
    listener.connect()
    desk.carry_out(track(peer=1), downtrack(peer=11))
    for sequence in range(100):
        speaker.speak(sequence, b"word %d" % sequence)
    heard = [listener.hear() for _ in range(100)]
    assert [packet[12:] for packet in heard] == [b"word %d" % n for n in range(100)]
    assert {packet[1] & 0x7F for packet in heard} == {100}
    assert {packet[8:12] for packet in heard} == {(0xD1).to_bytes(4, "big")}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("bind", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")]
)
def test_one_speaks_at_a_relay_and_is_heard_at_another(
    bind: str, reached: str, profile: Profile
) -> None:
    near, far = (Desk(Relay(binds=[(bind, 0)])) for _ in range(2))
    speaker = Client(near, 1, profile, reached)
    listener = Client(far, 11, profile, reached)
    ports = {desk: desk.relay.addresses[0][1] for desk in (near, far)}
    for client in (speaker, listener):
        client.server = reached, ports[client.desk]
        client.connect()
    salt = LIBSRTP[profile][1]
    for desk, other, ours, theirs in ((near, far, 1, 2), (far, near, 2, 1)):
        desk.carry_out(
            _relay.OpenPipe(
                peer=99,
                local=reached,
                remote=(reached, ports[other]),
                profile=profile,
                local_key=bytes([ours]) * 16,
                local_salt=bytes([ours]) * salt,
                remote_key=bytes([theirs]) * 16,
                remote_salt=bytes([theirs]) * salt,
            )
        )
    arriving = _relay.AddTrack(
        track=1,
        peer=99,
        kind="audio",
        mid="1",
        clock_rate=48_000,
        formats=[(111, "opus")],
        extensions=[],
        encodings=[0x50],
        nack=True,
    )
    leaving = _relay.AddDowntrack(
        downtrack=1,
        peer=99,
        track=1,
        ssrc=0x50,
        formats=[(111, "opus")],
        extensions=[],
        cname="pipe",
        nack=True,
        only=0,
    )
    far.carry_out(arriving, downtrack(peer=11))
    near.carry_out(track(peer=1), leaving)
    for sequence in range(100):
        speaker.speak(sequence, b"word %d" % sequence)
    heard = [listener.hear()[12:] for _ in range(100)]
    assert sorted(heard) == sorted(b"word %d" % n for n in range(100))
    near.relay.close()
    far.relay.close()


def test_a_refused_command_is_named_and_ends_its_batch(desk: Desk) -> None:
    credentials = {"ufrag": "ufrag", "password": "a-password-of-22-chars"}
    commands: list[_relay.Command] = [
        _relay.OpenPeer(peer=1, **credentials),
        _relay.ClosePeer(peer=2),
        _relay.ClosePeer(peer=1),
    ]
    ticket = desk.relay.apply(commands)
    done = desk.wait_for(_relay.Done)
    assert (done.ticket, done.error, done.failed_at) == (ticket, "unknown_peer", 1)
    desk.relay.apply([_relay.OpenPeer(peer=1, **credentials)])
    assert desk.wait_for(_relay.Done).error == "duplicate"


def test_authority_ends_without_another_word(desk: Desk) -> None:
    speaker = Client(desk, 1, "AEAD_AES_128_GCM", "127.0.0.1")
    speaker.connect()
    desk.carry_out(track(peer=1), _relay.SetNotAfter(peer=1, seconds_from_now=0.0))
    assert desk.wait_for(_relay.Expired).peer == 1


def test_the_first_packet_that_opens_means_connected(desk: Desk) -> None:
    speaker = Client(desk, 1, "AES128_CM_HMAC_SHA1_80", "127.0.0.1")
    speaker.connect()
    desk.carry_out(track(peer=1))
    speaker.speak(1, b"hello")
    assert desk.wait_for(_relay.MediaStarted).peer == 1


def test_a_closed_relay_takes_no_command_and_closes_again_quietly() -> None:
    relay = Relay(binds=[("127.0.0.1", 0)])
    relay.close()
    relay.close()
    with pytest.raises(_relay.RelayClosed):
        relay.apply([_relay.ClosePeer(peer=1)])


def test_only_commands_are_commands(desk: Desk) -> None:
    with pytest.raises(TypeError):
        desk.relay.apply(["not a command"])  # type: ignore[list-item] # that is the test


def test_counters_have_names_for_metrics(desk: Desk) -> None:
    counters = desk.relay.counters()
    assert {"datagrams_in", "rtp_drop_replayed", "worker_cpu_ns", "peers_now"} <= counters.keys()
    assert all(name.replace("_", "").isalnum() and name.islower() for name in counters)


def test_two_relays_cannot_have_one_port(desk: Desk) -> None:
    with pytest.raises(OSError, match="in use"):
        Relay(binds=desk.relay.addresses[:1])
