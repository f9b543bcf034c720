"""What a thinned socket lets through, and that the kernel counts the rest."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest

from bench.loadgen.datagrams import kernel_drops, udp_socket
from bench.loadgen.thinning import ONE_IN, thin

SSRCS = (7, 0x80000001, 0xFFFFFFFF)
PACKETS = 4 * ONE_IN


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket(type=socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        with udp_socket(far.getsockname()) as near:
            far.connect(near.getsockname())
            thin(near)
            yield far, near


@pytest.mark.parametrize("ssrc", SSRCS)
def test_one_packet_in_so_many_of_a_stream_passes_and_all_are_counted(
    ends: tuple[socket.socket, socket.socket], ssrc: int
) -> None:
    far, near = ends
    for number in range(PACKETS):
        far.send(rtp(65_536 - ONE_IN + number, ssrc))
    heard = [int.from_bytes(packet[2:4], "big") for packet in received(near)]
    assert len(heard) == PACKETS // ONE_IN
    assert {(after - before) % 65_536 for before, after in pairwise(heard)} == {ONE_IN}
    assert kernel_drops({os.fstat(near.fileno()).st_ino}) == PACKETS - len(heard)


def test_streams_do_not_pass_at_the_same_time(ends: tuple[socket.socket, socket.socket]) -> None:
    far, near = ends
    for ssrc in range(ONE_IN):
        far.send(rtp(1000, ssrc))
    assert len(received(near)) == 1


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"\x00\x01" + bytes(18), id="STUN"),
        pytest.param(b"\x16\xfe\xfd" + bytes(30), id="DTLS"),
        pytest.param(b"\x80\xc8\x00\x06" + bytes(24), id="sender report"),
        pytest.param(b"\x8f\xcd\x00\x06" + bytes(24), id="feedback"),
        pytest.param(b"\x80\xdf\x00\x06" + bytes(24), id="the last type of RTCP"),
    ],
)
def test_what_is_no_media_passes(
    ends: tuple[socket.socket, socket.socket], datagram: bytes
) -> None:
    far, near = ends
    far.send(datagram)
    assert received(near) == [datagram]


def rtp(number: int, ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 0xE0, number & 0xFFFF, 0, ssrc) + bytes(20)


def received(sock: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(sock.recv(2048))
        except BlockingIOError:
            return found
