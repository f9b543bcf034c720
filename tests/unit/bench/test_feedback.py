"""What receivers tell: read back by the draft's section 3.1 and RFC 4585 section 6.2.1."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from bench.loadgen.feedback import Told

MS = 1_000_000
ELEMENT = 3


def packet(number: int | None, sequence: int = 0) -> bytes:
    """The head of an RTP packet, behind another element and a byte of padding."""
    head = struct.pack("!BBHII", 0x90, 96, sequence & 0xFFFF, 0, 7)
    if number is None:
        return head + struct.pack("!HHBBxx", 0xBEDE, 1, 1 << 4, 30)
    elements = bytes([1 << 4, 30, 0, ELEMENT << 4 | 1]) + (number & 0xFFFF).to_bytes(2, "big")
    return head + struct.pack("!HH", 0xBEDE, 2) + elements + bytes(2)


def everything(told: Told, now: int) -> bytes:
    """All that is due, one after the other."""
    return b"".join(part for _, part in told.due(1, 7, now))


def read(feedback: bytes) -> tuple[int, int, list[int | None]]:
    """Base, count and arrivals in milliseconds."""
    assert feedback[:2] == bytes([0x80 | 15, 205])
    assert len(feedback) == 4 * (int.from_bytes(feedback[2:4], "big") + 1)
    base, statuses = struct.unpack_from("!HH", feedback, 12)
    clock = int.from_bytes(feedback[16:19], "big") * 64 * 4
    at = 20
    symbols: list[int] = []
    while len(symbols) < statuses:
        (chunk,) = struct.unpack_from("!H", feedback, at)
        assert chunk >> 14 == 3
        symbols += [chunk >> 2 * place & 3 for place in range(6, -1, -1)]
        at += 2
    arrivals: list[int | None] = []
    for symbol in symbols[:statuses]:
        if symbol == 0:
            arrivals.append(None)
            continue
        (delta,) = struct.unpack_from("!B" if symbol == 1 else "!h", feedback, at)
        at += symbol
        clock += delta
        arrivals.append(clock // 4)
    return base, feedback[19], arrivals


def test_arrivals_losses_and_reordering_are_told() -> None:
    told = Told(ELEMENT)
    for number, at in ((65_534, 100), (1, 102), (0, 103)):
        told.arrived(packet(number), 0, 7, 0, at * MS)
    assert read(everything(told, 0)) == (65_534, 0, [100, None, 103, 102])
    assert everything(told, 0) == b""
    told.arrived(packet(3), 0, 7, 0, 400 * MS)
    assert read(everything(told, 0)) == (2, 1, [None, 400])


def test_packets_without_a_number_are_not_told_of() -> None:
    told = Told(ELEMENT)
    told.arrived(packet(None), 0, 7, 0, 0)
    told.arrived(bytes.fromhex("80600000 00000000 00000007"), 0, 7, 0, 0)
    assert everything(told, 0) == b""


def test_a_gap_is_asked_for_until_it_is_filled() -> None:
    told = Told(ELEMENT)
    for sequence in (65_534, 1):
        told.arrived(packet(None, sequence), 0, 7, sequence, 0)
    assert sorted(lost(told, 200)) == [0, 65_535]
    assert lost(told, 250) == []
    told.arrived(packet(None, 0), 0, 7, 0, 0)
    assert lost(told, 400) == [65_535]
    assert sum(len(lost(told, 1_000 * turn)) for turn in range(1, 50)) == 8, "then it gives up"


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), min_size=1, max_size=300))
def test_every_arrival_is_told_once(packets: list[tuple[int, int]]) -> None:
    told = Told(ELEMENT)
    now, number, sent, seen = 1_000, 65_000, [], 0
    for step, pause in packets:
        now += pause
        number += 1 + step // 100
        told.arrived(packet(number), 0, 7, 0, now * MS)
        sent.append(now)
        if step % 7 == 0:
            seen += sum(at is not None for at in drained(told))
    seen += sum(at is not None for at in drained(told))
    assert seen == len(sent)


def drained(told: Told) -> list[int | None]:
    arrivals: list[int | None] = []
    while compound := everything(told, 0):
        arrivals += read(compound)[2]
    return arrivals


def lost(told: Told, at: int) -> list[int]:
    """What is asked for at so many milliseconds."""
    compound = everything(told, at * MS)
    if not compound:
        return []
    assert compound[:2] == bytes([0x80 | 1, 205])
    assert struct.unpack_from("!II", compound, 4) == (1, 7)
    entries = compound[12:]
    return [struct.unpack_from("!HH", entries, at)[0] for at in range(0, len(entries), 4)]


def test_a_packet_is_read_where_it_begins_and_its_resend_ends_the_asking() -> None:
    told = Told(ELEMENT)
    for sequence in (5, 7):
        told.arrived(b"before" + packet(None, sequence), 6, 7, sequence, 0)
    told.restored(6)
    assert everything(told, 0) == b""


def test_gaps_of_a_stream_without_resends_are_not_asked_for() -> None:
    told = Told(ELEMENT)
    for sequence in (5, 7):
        told.arrived(packet(None, sequence), 0, None, sequence, 0)
    assert everything(told, 0) == b""
