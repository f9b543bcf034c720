"""Datagrams come in batches, whole, with the kernel's time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from bench.loadgen.datagrams import BATCH, Batch, kernel_drops, udp_socket


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        with udp_socket(server.getsockname()) as client:
            server.connect(client.getsockname())
            yield server, client


def test_datagrams_arrive_whole_and_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    sent = [bytes([number]) * (number + 1) for number in range(BATCH + 3)]
    for datagram in sent:
        server.send(datagram)
    batch = Batch()
    received = []
    while count := batch.receive(client.fileno()):
        received += [batch.datagram(index) for index in range(count)]
    assert received == sent


def test_the_kernels_time_of_arrival_lies_between_sending_and_reading(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    batch = Batch()
    for _ in range(2):  # the room for time stamps is used again
        before = time.time_ns()
        server.send(b"one")
        assert batch.receive(client.fileno()) == 1
        assert before <= batch.arrived(0) <= time.time_ns()


def test_what_a_full_socket_lost_is_known(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    inode = os.fstat(client.fileno()).st_ino
    assert kernel_drops({inode}) == 0
    for _ in range(100):
        server.send(bytes(1000))
    batch, received = Batch(), 0
    while count := batch.receive(client.fileno()):
        received += count
    assert kernel_drops({inode}) == 100 - received > 0
