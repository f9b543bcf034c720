"""A thousand handshakes begun from one address and left there, beside a running call."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.interop.sdk import eventually
from tests.patience import PATIENCE
from tests.security import offers
from tests.security.conftest import World
from tests.security.offers import RemoteSide
from tests.security.transport import Transport, binding_request, udp_socket
from tests.security.visitor import HOME
from tests.unit.sfu.dtls_client import Client

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]
PLACES = 64
SETTINGS = {"LIMITS__JOINS_PER_MINUTE": "0", "LIMITS__MAX_HANDSHAKES": str(PLACES)}

HALF_OPEN = 1000
A_ROOM = 50  # participants
MOST = 80 << 20  # bytes; 25 kB for each that joins, and 120 kB for each place


async def test_a_thousand_half_open_handshakes_cost_bounded_memory_and_no_packet_of_a_call(
    world: World,
) -> None:
    client = Client()
    hello = client.step()
    before = resident(world)
    async with world.call.untouched(), visitors(world) as http:
        with ExitStack() as sockets:
            for number in range(HALF_OPEN):
                remote = await publisher(world, http, client, f"half-open-{number // A_ROOM}")
                begun(sockets.enter_context(udp_socket(remote)), remote, hello)

            async def full() -> bool:
                return await in_flight(world) == PLACES

            await eventually(full, "the places are not all taken")
            assert resident(world) - before < MOST

            honest = Client()
            remote = await publisher(world, http, honest, "honest")
            async with Transport.bound(remote, honest) as transport:
                assert await transport.handshake() == "", "whoever means it is crowded out"
    outcomes = await world.node.metrics()
    assert outcomes['conclave_handshakes_total{outcome="dtls_crowded_out"}'] > 0


def begun(own: socket.socket, remote: RemoteSide, hello: list[bytes]) -> None:
    """An address proven by a check, and the first flight of a handshake."""
    own.send(binding_request(remote, "ourUfrag", remote.password))
    for datagram in hello:
        own.send(datagram)


@asynccontextmanager
async def visitors(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(verify=world.node.tls, local_address=HOME)
    async with httpx.AsyncClient(
        transport=transport, base_url=world.node.origin, timeout=PATIENCE
    ) as http:
        yield http


async def publisher(world: World, http: httpx.AsyncClient, client: Client, room: str) -> RemoteSide:
    """Join by WHIP; where its media would go."""
    answer = await http.post(
        f"/whip/{room}",
        content=offers.speaking(offers.LocalSide(client.fingerprint().value)),
        headers={
            "Authorization": f"Bearer {world.mint.token(room)}",
            "Content-Type": "application/sdp",
        },
    )
    assert answer.status_code == 201, answer.text
    return offers.remote_side(answer.text)


async def in_flight(world: World) -> int:
    return int((await world.node.metrics())["conclave_handshakes_in_flight"])


def resident(world: World) -> int:
    """Bytes of memory of the whole server process."""
    status = Path(f"/proc/{world.node.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) << 10
