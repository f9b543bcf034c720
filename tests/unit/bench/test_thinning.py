"""A thinned socket takes in few packets of each stream, and everything else."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest

from bench.loadgen.counting import Distinct
from bench.loadgen.datagrams import Batch, kernel_drops, udp_socket
from bench.loadgen.thinning import thin

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((request.param, 0))
        with udp_socket(server.getsockname()[:2]) as client:
            server.connect(client.getsockname())
            yield server, client


@pytest.mark.parametrize("ssrc", [7, 0x80000001, 0xFFFFFFFF])
def test_one_packet_in_so_many_of_a_stream_comes_and_all_are_counted(pair: Pair, ssrc: int) -> None:
    server, client = pair
    numbers = range(65_500, 65_500 + 4 * 64)
    packets = [rtp(number & 0xFFFF, ssrc=ssrc) for number in numbers]
    send(server, packets)
    assert len(taken(client)) == len(numbers), "all, without it"
    thin(client, 64)
    send(server, packets)
    heard = [int.from_bytes(each[2:4], "big") for each in taken(client)]
    assert len(heard) == 4
    assert {(after - before) % 65_536 for before, after in pairwise(heard)} == {64}
    assert kernel_drops({os.fstat(client.fileno()).st_ino}) == len(numbers) - 4


def test_streams_do_not_come_at_the_same_time(pair: Pair) -> None:
    server, client = pair
    thin(client, 64)
    send(server, [rtp(1000, ssrc=ssrc) for ssrc in range(64)])
    assert len(taken(client)) == 1


@pytest.mark.parametrize(
    "first",
    [
        bytes([0x00, 0x01]),  # STUN
        bytes([0x16, 0xFE]),  # DTLS
        *(bytes([0x81, kind]) for kind in (192, 200, 206, 223)),  # RTCP
    ],
)
def test_what_is_no_media_comes_whatever_is_at_its_numbers_place(pair: Pair, first: bytes) -> None:
    server, client = pair
    thin(client, 64)
    datagram = first + b"\x00\x01" + bytes(20)
    send(server, [datagram])
    assert taken(client) == [datagram]


@pytest.mark.parametrize("payload_type", [96, 111, 96 | 0x80, 63 | 0x80, 127 | 0x80])
def test_media_of_any_payload_type_is_thinned(pair: Pair, payload_type: int) -> None:
    server, client = pair
    thin(client, 2)
    send(server, [rtp(number, payload_type) for number in range(4)])
    assert len(taken(client)) == 2


def test_a_thinning_is_by_a_power_of_two(pair: Pair) -> None:
    for wrong in (0, 3, 100):
        with pytest.raises(ValueError, match="power of two"):
            thin(pair[1], wrong)


def test_gaps_of_a_thinned_stream_are_those_of_numbers_that_could_come() -> None:
    stream = Distinct(64)
    for number in range(65_408, 65_408 + 64 * 2_000, 64):
        assert stream.add(number & 0xFFFF)
    assert (stream.count, stream.gaps) == (2_000, 0)
    stream.add(stream.highest + 3 * 64 & 0xFFFF)
    assert stream.gaps == 2


def rtp(sequence: int, payload_type: int = 96, ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x90, payload_type, sequence, 0, ssrc) + bytes(1000)


def send(server: socket.socket, datagrams: list[bytes]) -> None:
    for datagram in datagrams:
        server.send(datagram)


def taken(client: socket.socket) -> list[bytes]:
    batch, found = Batch(), []
    while count := batch.receive(client.fileno()):
        found += [batch.datagram(index) for index in range(count)]
    return found
