"""A hello is said again, answers a request for a cookie, and survives what no server may say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from sfu.probe import greeting
from sfu.probe.crafter import codes
from sfu.probe.crafter.hello import dtls12, dtls13
from sfu.probe.crafter.odd import ODD
from sfu.probe.crafter.records import Record
from sfu.probe.greeting import greet, throw
from sfu.probe.lab import Session
from tests.unit.sfu.probe.crafter.openssl_server import OpenSslServer

Answering = Callable[[list[bytes]], list[bytes]]
FATAL = bytes(Record(codes.ALERT, b"\2\x28"))


@dataclass
class Wire:
    """Stands for a path: what is sent is answered at once, but for the first `lost` datagrams."""

    answering: Answering
    lost: int = 0
    sent: list[bytes] = field(default_factory=list)
    dtls: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    checks_answered: int = 0

    def check(self) -> None:
        self.checks_answered += 1

    def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)
        if len(self.sent) > self.lost:
            for answer in self.answering([datagram]):
                self.dtls.put_nowait(answer)


class Silence(asyncio.Queue[bytes]):
    """Nothing comes, and time passes by eighths of a second, one for each look."""

    def __init__(self) -> None:
        super().__init__()
        self._eighths = 0

    def monotonic(self) -> float:
        return self._eighths / 8

    async def get(self) -> bytes:
        self._eighths += 1
        raise TimeoutError


def session(wire: Wire, *, ended: str | None = None) -> Session:
    exchange = SimpleNamespace(ended=lambda: ended)
    return cast(Session, SimpleNamespace(path=wire, exchange=exchange))


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "PATIENCE", 1.5)
    monkeypatch.setattr(greeting, "REPEAT", 0.2)


async def test_a_whole_flight_ends_it() -> None:
    seen = await greet(session(Wire(OpenSslServer().answer)), dtls12())
    assert seen.flight.done
    assert seen.sent == 13 + 12 + len(dtls12().body())


async def test_a_hello_that_got_lost_is_said_again() -> None:
    wire = Wire(OpenSslServer().answer, lost=2)
    seen = await greet(session(wire), dtls12())
    assert seen.flight.done
    assert len(wire.sent) == 3
    assert [int.from_bytes(one[5:11], "big") for one in wire.sent] == [0, 1, 2]


async def test_a_cookie_is_given_back_at_once() -> None:
    wire = Wire(OpenSslServer(cookie=True).answer)
    seen = await greet(session(wire), dtls12())
    assert seen.flight.done
    assert len(wire.sent) == 2
    assert b"cookie of the test" in wire.sent[1]


async def test_a_cookie_is_given_back_by_a_hello_in_two_datagrams() -> None:
    wire = Wire(OpenSslServer(cookie=True).answer)
    seen = await greet(session(wire), dtls13(fallback=True, post_quantum=True))
    assert seen.flight.hello is not None


async def test_an_alert_ends_it() -> None:
    seen = await greet(session(Wire(lambda _: [FATAL])), dtls12())
    assert seen.why_refused == "alert handshake_failure"


async def test_signallings_end_ends_it() -> None:
    seen = await greet(session(Wire(lambda _: []), ended="Leave"), dtls12())
    assert seen.why_refused == "signalling ended: Leave"


async def test_silence_ends_it_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "REPEAT", 0.25)
    silence = Silence()
    monkeypatch.setattr(greeting, "time", silence)
    wire = Wire(lambda _: [], dtls=silence)
    seen = await greet(session(wire), dtls12())
    assert seen.why_refused == "no answer"
    assert len(wire.sent) == 6, "four a second, for a second and a half"
    assert silence.monotonic() == 1.5


async def test_rubbish_ends_it_with_what_is_wrong() -> None:
    seen = await greet(session(Wire(lambda _: [b"\x16rubbish"])), dtls12())
    assert seen.why_refused == "malformed answer (cut_short)"


async def test_everything_that_an_odd_hello_draws_is_counted() -> None:
    wire = Wire(lambda _: [FATAL, b"\x16rubbish", FATAL])
    seen = await throw(session(wire), ODD["empty"].make(), listening=0.3)
    assert seen.flight.bytes_received == 2 * len(FATAL) + len(b"\x16rubbish")
    assert seen.sent == len(wire.sent[0])
