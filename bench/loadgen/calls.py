"""Plays a scenario against a server and writes down what happened, unjudged."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from bench.loadgen.datagrams import kernel_drops
from bench.loadgen.driver import Driver, Sender
from bench.loadgen.dtls import PROFILES, Identity
from bench.loadgen.flights import Flights
from bench.loadgen.media import Audio, Video
from bench.loadgen.metrics import relay_counters
from bench.loadgen.pacing import Pacer
from bench.loadgen.participant import Participant, Surroundings
from bench.loadgen.signalling import ServerAddress, SignallingError
from bench.loadgen.token import access_token
from bench.process import core_time, cpu_nanoseconds, resident_bytes, softirq_thread
from bench.scenarios import Cell, FanOut, Joins, Plan, Scenario, Voices

SETTLE: Final = 0.15  # seconds for the last packets to arrive
PRIME: Final = 20.0  # seconds within which media must reach everybody
AT_ONCE: Final = 4  # people who join at the same time while a scenario is set up

Seen = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """The server under load, as its parent describes it."""

    pid: int
    core: int
    host: str
    port: int
    admin_port: int
    authority: str  # path of the certificate authority to trust
    api_key: str
    api_secret: str


@dataclass(frozen=True, slots=True)
class Clients:
    """What all clients of a run have in common."""

    profile: str  # of SRTP, a key of `PROFILES`
    suite: str
    tells: bool  # receivers give transport-wide feedback and ask for lost packets


async def perform(server: Server, plan: Plan, scenario: Scenario, clients: Clients) -> Seen:
    """Play one scenario. Raises SignallingError, HandshakeError, OSError."""
    stage = Stage(server, Identity(PROFILES[clients.profile], clients.suite), clients.tells)
    try:
        if isinstance(scenario, Joins):
            return await _joins(stage, scenario)
        if isinstance(scenario, FanOut):
            before = resident_bytes(server.pid)
            senders, people = await _fan_out(stage, scenario)
            reach = scenario.subscribers
        else:
            before = resident_bytes(server.pid)
            senders, people = await _voices(stage, scenario)
            reach = scenario.people - 1
        after = resident_bytes(server.pid)
        cells = await _cells(stage, plan, scenario, senders, reach)
        return {
            "memory": {"before": before, "after": after, "peers": people},
            "idle": await _idle(stage, plan.silence) if plan.silence else None,
            "cells": cells,
        }
    finally:
        await stage.close()


class Stage:
    """One generator's people and sockets."""

    def __init__(self, server: Server, identity: Identity, tells: bool) -> None:
        self.server = server
        self.driver = Driver()
        self.flights = Flights()
        self.people: list[Participant] = []
        self._identity = identity
        self._tells = tells
        self._softirq = softirq_thread(server.core)
        self._address = ServerAddress(
            server.host, server.port, ssl.create_default_context(cafile=server.authority)
        )
        self._names = 0

    def person(self, room: str = "bench") -> Participant:
        """Somebody new, not yet joined."""
        self._names += 1
        mint = partial(access_token, self.server.api_key, self.server.api_secret, room)
        world = Surroundings(
            self._address, self._identity, self.flights, mint, self.driver.attach, self._tells
        )
        person = Participant(world, f"person-{self._names}")
        self.people.append(person)
        return person

    def video(self) -> Video:
        return Video(_ssrc(), self.flights.add_source(), rate=250)

    def audio(self) -> Audio:
        return Audio(_ssrc(), self.flights.add_source())

    def totals(self) -> dict[str, int]:
        """What arrived so far, at all of them."""
        transports = self.driver.transports
        return {
            "out": sum(one.packets for one in transports),
            "duplicates": sum(one.duplicates for one in transports),
            "checked": sum(one.checked for one in transports),
            "damaged": sum(one.damaged for one in transports),
            "own_drops": kernel_drops({one.inode for one in transports}),
        }

    def softirq_nanoseconds(self) -> int:
        """CPU time of the server's core that the kernel spent on the network in its own name."""
        return cpu_nanoseconds(self._softirq) if self._softirq is not None else 0

    def check_alive(self) -> None:
        """Raises SignallingError when a session has ended."""
        failures = [person.failure for person in self.people if person.failure]
        if failures:
            raise SignallingError(f"{len(failures)} sessions ended; the first: {failures[0]}")

    async def close(self) -> None:
        """Everybody leaves."""
        for person in self.people:
            if person.transport is not None:
                self.driver.detach(person.transport)
        await asyncio.gather(*(person.close() for person in self.people), return_exceptions=True)


# --- Setting up -----------------------------------------------------------------------------------


async def _fan_out(stage: Stage, scenario: FanOut) -> tuple[list[Sender], int]:
    publisher = stage.person()
    await publisher.publish("video", stage.video())
    assert publisher.transport is not None
    senders = [Sender(publisher.transport, Pacer(250, 1, time.monotonic_ns()))]
    await _in_turns([stage.person().listen(video=1) for _ in range(scenario.subscribers)])
    await _prime(stage, senders, streams=1, listeners=stage.people[1:])
    return senders, scenario.subscribers + 1


async def _voices(stage: Stage, scenario: Voices) -> tuple[list[Sender], int]:
    people = [stage.person() for _ in range(scenario.people)]
    await _in_turns([one.publish("audio", stage.audio(), listens=True) for one in people])
    begin = time.monotonic_ns()
    senders = []
    for number, one in enumerate(people):
        assert one.transport is not None
        phase = number * 20_000_000 // len(people)  # microphones are not in step
        senders.append(Sender(one.transport, Pacer(50, 1, begin + phase)))
    await _prime(stage, senders, streams=scenario.people - 1, listeners=people)
    return senders, scenario.people


async def _in_turns(joins: Sequence[Any]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(join: Any) -> None:
        async with gate:
            await join

    await asyncio.gather(*(one(join) for join in joins))


async def _prime(
    stage: Stage, senders: Sequence[Sender], streams: int, listeners: Sequence[Participant]
) -> None:
    """Send until everybody hears everything. Raises SignallingError."""
    deadline = time.monotonic() + PRIME
    while True:
        await stage.driver.run(senders, 0.1)
        stage.check_alive()
        heard = [len(one.transport.streams) for one in listeners if one.transport is not None]
        if len(heard) == len(listeners) and min(heard) >= streams:
            return
        if time.monotonic() > deadline:
            raise SignallingError(
                f"after {PRIME:.0f} s the least served of {len(listeners)} subscribers gets "
                f"{min(heard)} of {streams} streams"
            )


# --- Measuring ------------------------------------------------------------------------------------


async def _cells(
    stage: Stage, plan: Plan, scenario: FanOut | Voices, senders: Sequence[Sender], reach: int
) -> list[Seen]:
    """Every cell once, then all again: what disturbs the machine for a while hits all alike."""
    seen: list[Seen] = [{"cell": asdict(cell), "windows": []} for cell in scenario.cells]
    for _ in range(plan.repeats):
        for number, cell in enumerate(scenario.cells):
            seen[number]["windows"].append(await _window(stage, plan, cell, senders, reach))
            stage.check_alive()
    return seen


async def _window(
    stage: Stage, plan: Plan, cell: Cell, senders: Sequence[Sender], reach: int
) -> Seen:
    server, driver = stage.server, stage.driver
    _set_pace(senders, cell)
    relay_before = await relay_counters(server.host, server.admin_port)
    begin, sent_before = stage.totals(), _sent(senders)
    await driver.run(senders, plan.warm_up)
    driver.drain()
    stage.flights.take()

    core, softirq = core_time(server.core), stage.softirq_nanoseconds()
    out, sent = stage.totals()["out"], _sent(senders)
    own, cpu, clock = time.process_time_ns(), cpu_nanoseconds(server.pid), time.monotonic_ns()
    await driver.run(senders, plan.window)
    clock = time.monotonic_ns() - clock
    cpu = cpu_nanoseconds(server.pid) - cpu
    own = time.process_time_ns() - own
    driver.drain()
    out, sent = stage.totals()["out"] - out, _sent(senders) - sent
    core_after, softirq = core_time(server.core), stage.softirq_nanoseconds() - softirq

    await asyncio.sleep(SETTLE)
    end, sent_all = stage.totals(), _sent(senders) - sent_before
    relay = await relay_counters(server.host, server.admin_port)
    changed = {name: end[name] - begin[name] for name in end}
    return {
        "seconds": clock / 1e9,
        "sent": sent,
        "out": out,
        "server_cpu": cpu / 1e9,
        "generator_cpu": own / 1e9,
        "softirq_cpu": softirq / 1e9,
        "core_busy": clock / 1e9 - (core_after.idle - core.idle),
        "delays": stage.flights.take(),
        "skipped": sum(sender.pacer.skipped for sender in senders),
        "whole": {"expected": sent_all * reach, **changed},
        "relay": {name: relay[name] - relay_before.get(name, 0) for name in relay},
    }


async def _idle(stage: Stage, silence: float) -> Seen:
    """The same people, and silence."""
    await asyncio.sleep(SETTLE)
    cpu, clock = cpu_nanoseconds(stage.server.pid), time.monotonic_ns()
    await asyncio.sleep(silence)
    return {
        "seconds": (time.monotonic_ns() - clock) / 1e9,
        "server_cpu": (cpu_nanoseconds(stage.server.pid) - cpu) / 1e9,
    }


def _set_pace(senders: Sequence[Sender], cell: Cell) -> None:
    begin = time.monotonic_ns()
    interval = 1e9 * cell.burst / cell.rate
    for number, sender in enumerate(senders):
        phase = int(number * interval / len(senders))
        sender.pacer = Pacer(cell.rate, cell.burst, begin + phase)
        if isinstance(sender.transport.source, Video):
            sender.transport.source.set_rate(cell.rate)


def _sent(senders: Sequence[Sender]) -> int:
    return sum(sender.transport.source.counter for sender in senders if sender.transport.source)


# --- Joining --------------------------------------------------------------------------------------


async def _joins(stage: Stage, scenario: Joins) -> Seen:
    rooms = [f"bench-{number}" for number in range(scenario.rooms)]
    senders = []
    for room in rooms:
        speaker = stage.person(room)
        await speaker.publish("audio", stage.audio())
        assert speaker.transport is not None
        senders.append(Sender(speaker.transport, Pacer(50, 1, time.monotonic_ns())))
    talk = asyncio.create_task(stage.driver.stroll(senders))
    # The first join pays for what is imported and cached on first use
    await _one_join(stage, rooms[0])
    server = stage.server
    before = resident_bytes(server.pid)
    begin, cpu, core = time.monotonic(), cpu_nanoseconds(server.pid), core_time(server.core)
    running = []
    for number in range(scenario.joins):
        await asyncio.sleep(max(0.0, begin + number / scenario.pace - time.monotonic()))
        running.append(asyncio.create_task(_one_join(stage, rooms[number % len(rooms)])))
    results = await asyncio.gather(*running, return_exceptions=True)
    cpu = cpu_nanoseconds(server.pid) - cpu
    took = time.monotonic() - begin
    busy = took - (core_time(server.core).idle - core.idle)
    after = resident_bytes(server.pid)
    talk.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await talk
    failed = [one for one in results if isinstance(one, BaseException)]
    if failed:
        print(f"{len(failed)} joins failed; the first: {failed[0]!r}", file=sys.stderr)
    return {
        "joins": {
            "pace": scenario.pace,
            "rooms": scenario.rooms,
            "seconds": took,
            "server_cpu": cpu / 1e9,
            "core_busy": busy,
            "relay": await relay_counters(server.host, server.admin_port),
            "failed": len(failed),
            "keys": [one[0] for one in results if not isinstance(one, BaseException)],
            "media": [one[1] for one in results if not isinstance(one, BaseException)],
        },
        "memory": {"before": before, "after": after, "peers": scenario.joins},
    }


async def _one_join(stage: Stage, room: str) -> tuple[float, float]:
    """Seconds from before the TCP connection to the keys, and to the first packet that opened."""
    person = stage.person(room)
    await person.listen(audio=1)
    assert person.transport is not None
    connected = await person.transport.connected
    media = await asyncio.wait_for(asyncio.shield(person.transport.first_media), PRIME)
    return connected - person.began, media - person.began


def _ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
