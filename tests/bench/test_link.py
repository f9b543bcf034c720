"""The bad link over real sockets and devices: what is lost is what the model says, packet by
packet; under `make impair` also what is measured is what was asked, within 5 %.

Times and rates are the machine's as well, and so not for every run. A sample of some thousand
packets strays by chance alone. The seeds here are such that this one does so by less than 5 %,
which the model tells beforehand; that chance is fair is shown in
tests/unit/bench/test_link_model.py, with more packets.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.link.conditions import MS, PERFECT, Bursts, Conditions, Schedule
from bench.link.model import Pipe, Tally
from bench.link.running import Link, LinkFailed, relayed, tunnelled
from bench.link.traffic import Arrival, Seen, listening, receive, send
from bench.machine import ROOT
from tests.faults.namespaces import Host, host
from tests.patience import PATIENCE

SIZE = 1172  # of payload: 1200 on the wire
FEW = 1500  # packets that fit into a socket's buffer, however late its owner reads
QUEUE = 450  # packets that fit into a network device's queue
NEAR, FAR, PORT = "10.77.0.2", "10.77.0.1", 7999
TWENTY_MBIT = 20e6 / 8 / 1200  # packets a second

LOSS = Conditions(loss=0.1)
BURSTS = Conditions(bursts=Bursts(p=0.04, r=0.25))
JITTER = Conditions(delay=0.1, jitter=0.01)
SHUFFLE = Conditions(delay=0.1, jitter=0.02, jitter_reorders=True)
REORDER = Conditions(reorder=0.05, reorder_by=0.03)
COPIES = Conditions(duplicate=0.05)


def near(asked: float) -> Any:
    return pytest.approx(asked, rel=0.05)


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_the_relay_loses_what_the_model_says(down: bool) -> None:
    way = "down" if down else "up"
    async with a_flow() as (client, server, link):
        await link.be(**{way: LOSS})
        one, other = (server, client) if down else (client, server)
        await asyncio.to_thread(send, one, FEW, 4000.0, SIZE)
        tally = await all_carried(link, way, FEW if down else FEW + 1)
        seen = await asyncio.to_thread(receive, other, FEW, 0.2)
    assert [each.number for each in seen.arrivals] == model_delivers(LOSS, FEW, seed=f"1/0/{way}")
    assert len(seen.arrivals) == FEW - tally.lost


@pytest.mark.impair
@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_the_relay_loses_what_was_asked(down: bool) -> None:
    seen = await relay_carries(LOSS, 4000, 2000, down=down)
    assert seen.lost == near(0.1)


@pytest.mark.impair
async def test_the_relay_loses_in_bursts() -> None:
    seen = await relay_carries(BURSTS, 8000, 2500, seed="3")
    assert seen.lost == near(BURSTS.lost)
    assert seen.burst == near(4.0)
    assert [each.number for each in seen.arrivals] == model_delivers(BURSTS, 8000, seed="3/0/up")


@pytest.mark.impair
async def test_the_relay_delays() -> None:
    seen = await relay_carries(Conditions(delay=0.15), 500, 250, down=True)
    assert seen.lost == 0
    assert seen.delay == near(0.15)


@pytest.mark.parametrize("conditions", [JITTER, SHUFFLE], ids=["in order", "overtaking"])
@pytest.mark.impair
async def test_the_relay_jitters(conditions: Conditions) -> None:
    seen = await relay_carries(conditions, 3000, 500 if conditions is JITTER else 1000)
    assert seen.lost == 0
    assert seen.delay == near(0.1)
    assert seen.jitter == near(conditions.jitter)
    assert (seen.overtaken > 0) is conditions.jitter_reorders


@pytest.mark.impair
async def test_the_relay_reorders() -> None:
    seen = await relay_carries(REORDER, 4000, 1000, seed="4")
    assert seen.lost == 0
    assert seen.overtaken == near(0.05)


@pytest.mark.impair
async def test_the_relay_duplicates() -> None:
    seen = await relay_carries(COPIES, 4000, 2000, seed="3")
    assert seen.lost == 0
    assert seen.duplicated == near(0.05)
    assert [each.number for each in seen.arrivals] == model_delivers(COPIES, 4000, seed="3/0/up")


@pytest.mark.impair
async def test_a_capped_relay_carries_its_rate_behind_a_full_queue() -> None:
    seen = await relay_carries(Conditions(rate=1_000_000, queue=0.2), 1000, 250)
    assert seen.rate(start=0.5) == near(1e6)
    last = [each.delay for each in seen.arrivals[-100:]]
    assert max(last) == near(0.2)
    assert seen.lost > 0.5


@pytest.mark.impair
async def test_a_rate_changes_at_its_times() -> None:
    fast, slow = Conditions(rate=2_000_000), Conditions(rate=300_000)
    with listening("127.0.0.1") as server, listening("127.0.0.1") as client:
        async with relayed(server.getsockname()[1]) as link:
            client.connect(("127.0.0.1", link.port))
            await link.begin(up=Schedule(((0, fast), (3, slow), (8, fast))))
            seen = await streamed(client, server, 11 * 250, 250)
    assert seen.rate(start=0.5, end=2.9) == near(2e6)
    assert seen.rate(start=3.5, end=7.8) == near(3e5)
    assert seen.rate(start=8.5, end=10.8) == near(2e6)


@pytest.mark.impair
async def test_the_relay_adds_no_loss_at_20_mbit() -> None:
    seen = await relay_carries(PERFECT, 8000, TWENTY_MBIT)
    assert seen.lost == 0
    assert seen.rate() == near(20e6)


async def test_clients_of_one_relay_have_pipes_of_their_own() -> None:
    """A client that fills its queue takes nothing from another."""
    with (
        listening("127.0.0.1") as server,
        listening("127.0.0.1") as greedy,
        listening("127.0.0.1") as modest,
    ):
        async with relayed(server.getsockname()[1]) as link:
            for client in (greedy, modest):
                client.connect(("127.0.0.1", link.port))
            await link.be(up=Conditions(rate=500_000, queue=0.1))
            await asyncio.gather(
                asyncio.to_thread(send, greedy, 500, 500.0, SIZE),
                # However late they are sent, all together fit into a queue
                asyncio.to_thread(send, modest, 40, 40.0, 100),
            )
            tally = await all_carried(link, "up", 540)
            seen = await asyncio.to_thread(receive, server, 540, 0.2)
    assert tally.overflowed > 0
    assert len(seen.arrivals) == 540 - tally.overflowed
    assert set(range(40)) <= {each.number for each in seen.arrivals}  # the modest one's, each


async def test_conditions_that_cannot_be_are_refused_by_the_link_too() -> None:
    with listening("127.0.0.1") as server:
        async with relayed(server.getsockname()[1]) as link:
            with pytest.raises(LinkFailed, match="nothing arrives before it is sent"):
                await link.ask({"begin": {"up": [[0, {"jitter": 1}]], "down": [[0, {}]]}})
            await link.be(up=LOSS)  # and it goes on


async def test_a_tunnel_loses_what_it_says() -> None:
    async with two_hosts(seed="13") as (one, other, link):
        await link.be(up=LOSS)
        seen = await tunnel_carries(one, other, FAR, QUEUE, 2000, silence=5)
        told = await link.told()
    assert told.lateness.refused == told.up.crowded == told.down.crowded == 0
    assert told.up.lost > 0
    # Beside ours it carried what the kernel has to say to its neighbours
    others = told.up.offered - QUEUE
    assert 0 <= len(seen.arrivals) - (QUEUE - told.up.lost) <= others < QUEUE / 10


@pytest.mark.impair
async def test_a_tunnel_is_as_bad_as_asked() -> None:
    async with two_hosts(seed="13") as (one, other, link):
        await link.be(up=LOSS)
        assert (await tunnel_carries(one, other, FAR, 4000, 2000)).lost == near(0.1)
        await link.be(down=BURSTS)
        seen = await tunnel_carries(other, one, NEAR, 8000, 2500)
        assert seen.lost == near(BURSTS.lost)
        assert seen.burst == near(4.0)
        await link.be(up=SHUFFLE)
        seen = await tunnel_carries(one, other, FAR, 3000, 1000)
        assert seen.lost == 0
        assert seen.delay == near(0.1)
        assert seen.jitter == near(0.02)
        await link.be(up=Conditions(rate=1_000_000, queue=0.1))
        seen = await tunnel_carries(one, other, FAR, 1000, 250)
        assert seen.rate(start=0.5) == near(1e6)
        told = await link.told()
        assert told.lateness.refused == told.up.crowded == told.down.crowded == 0


@pytest.mark.parametrize(
    ("conditions", "seed"), [(REORDER, "4"), (COPIES, "3")], ids=["reordering", "copies"]
)
@pytest.mark.impair
async def test_a_tunnel_reorders_and_duplicates(conditions: Conditions, seed: str) -> None:
    async with two_hosts(seed=seed) as (one, other, link):
        await link.be(up=conditions)
        seen = await tunnel_carries(one, other, FAR, 4000, 1000)
    assert seen.lost == 0
    if conditions is REORDER:
        assert seen.overtaken == near(0.05)
    else:
        assert seen.duplicated == near(0.05)


@pytest.mark.impair
async def test_a_tunnel_adds_no_loss_at_20_mbit() -> None:
    async with two_hosts() as (one, other, link):
        seen = await tunnel_carries(one, other, FAR, 8000, TWENTY_MBIT)
        told = await link.told()
    print(f"link: {told.cpu:.2f} s of processor time, {told.lateness}")
    assert seen.lost == 0
    assert seen.rate() == near(20e6)
    assert told.up.delivered == told.up.offered >= 8000


async def test_when_a_link_dies_its_interfaces_are_gone() -> None:
    async with two_hosts() as (one, _, link):
        assert interfaces(one) == {"lo", "net"}
        link.process.kill()
        await link.process.wait()
        assert interfaces(one) == {"lo"}


async def test_after_a_failure_no_namespace_is_left() -> None:
    with pytest.raises(ZeroDivisionError):
        async with two_hosts() as (one, _, link):
            raise ZeroDivisionError
    assert one.name not in namespaces()
    assert link.process.returncode == 0


def namespaces() -> str:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return listed.stdout


def interfaces(of: Host) -> set[str]:
    return {line.split()[0] for line in of.run("ip", "-brief", "link").splitlines()}


@asynccontextmanager
async def a_flow(seed: str = "1") -> AsyncIterator[tuple[socket.socket, socket.socket, Link]]:
    """A client and a server connected through the UDP relay."""
    with listening("127.0.0.1") as server, listening("127.0.0.1") as client:
        async with relayed(server.getsockname()[1], seed=seed) as link:
            client.connect(("127.0.0.1", link.port))
            client.send(b"hello")
            server.settimeout(PATIENCE)
            _, flow = await asyncio.to_thread(server.recvfrom, 64)
            server.connect(flow)
            yield client, server, link


async def all_carried(link: Link, way: str, count: int) -> Tally:
    """Wait until so many packets have come to their end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        tally: Tally = getattr(await link.told(), way)
        ended = tally.delivered + tally.lost + tally.overflowed + tally.crowded
        if ended == tally.offered >= count:
            return tally
        assert time.monotonic() < deadline, tally
        await asyncio.sleep(0.05)


async def relay_carries(
    conditions: Conditions, count: int, rate: float, *, seed: str = "1", down: bool = False
) -> Seen:
    """What arrives of a stream through the UDP relay, up or down."""
    async with a_flow(seed) as (client, server, link):
        await link.be(**{"down" if down else "up": conditions})
        one, other = (server, client) if down else (client, server)
        seen = await streamed(one, other, count, rate)
        told = await link.told()
        print(f"link: {told.cpu:.2f} s of processor time, {told.lateness}")
        assert told.lateness.refused == told.up.crowded == told.down.crowded == 0
        return seen


async def streamed(one: socket.socket, other: socket.socket, count: int, rate: float) -> Seen:
    receiving = asyncio.create_task(asyncio.to_thread(receive, other, count, 1.0))
    await asyncio.to_thread(send, one, count, rate, SIZE)
    return await receiving


def model_delivers(conditions: Conditions, count: int, *, seed: str) -> list[int]:
    """What the pure model lets through of as many packets, in virtual time."""
    pipe = Pipe(seed, Schedule.always(conditions))
    for number in range(count):
        pipe.offer(number * MS, number.to_bytes(4, "big"))
    return [int.from_bytes(packet, "big") for _, packet in pipe.poll(count * MS)]


@asynccontextmanager
async def two_hosts(seed: str = "1") -> AsyncIterator[tuple[Host, Host, Link]]:
    with host("near") as one, host("far") as other:
        async with tunnelled(one.name, other.name, seed=seed) as link:
            one.address("net", f"{NEAR}/24")
            other.address("net", f"{FAR}/24")
            yield one, other, link


async def tunnel_carries(
    one: Host, other: Host, to: str, count: int, rate: float, *, silence: int = 1
) -> Seen:
    """What arrives of a stream from one namespace in the other."""
    words = (sys.executable, "-m", "bench.link.traffic")
    receiver = await asyncio.create_subprocess_exec(
        *other.command(*words, "receive", to, str(PORT), "--silence", str(silence)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        limit=32 * 1024 * 1024,
    )
    try:
        assert receiver.stdout is not None
        assert await asyncio.wait_for(receiver.stdout.readline(), PATIENCE) == b"listening\n"
        sender = await asyncio.create_subprocess_exec(
            *one.command(*words, "send", to, str(PORT)),
            *("--count", str(count), "--rate", str(rate), "--size", str(SIZE)),
            cwd=ROOT,
        )
        assert await asyncio.wait_for(sender.wait(), PATIENCE) == 0
        said = json.loads(await asyncio.wait_for(receiver.stdout.read(), PATIENCE))
    finally:
        if receiver.returncode is None:
            receiver.kill()
            await receiver.wait()
    return Seen([Arrival(*row) for row in said["arrivals"]], count, said["size"])
