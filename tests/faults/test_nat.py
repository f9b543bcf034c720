"""A public server's addresses: behind NAT, on several interfaces, with several addresses.

The server runs as a public host runs it, by its settings file and with TLS files, in a network
namespace of its own; its callers are in another, and can reach it by the announced address only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.faults.namespaces import Host, host, link
from tests.faults.public_node import MEDIA_PORT, PORT, public_node


@dataclass(frozen=True, slots=True)
class Family:
    """Addresses of one family: the client's network, and the private one behind the router."""

    name: str  # as nftables calls it
    length: int
    client: str
    public: str
    gateway: str
    private: str


IPV4 = Family("ip", 24, "198.51.100.2", "198.51.100.1", "10.77.0.1", "10.77.0.2")
IPV6 = Family("ip6", 64, "2001:db8:1::2", "2001:db8:1::1", "fd77::1", "fd77::2")
FAMILIES = pytest.mark.parametrize("family", [IPV4, IPV6], ids=["IPv4", "IPv6"])

# What docs/running.md asks of the router: the two ports go in, and the way out is masqueraded.
NAT = """
table {family} nat {{
  chain prerouting {{
    type nat hook prerouting priority dstnat;
    {family} daddr {public} tcp dport {port} dnat to {private}
    {family} daddr {public} udp dport {media_port} dnat to {private}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    oifname "public" masquerade
  }}
}}
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def behind_nat(stack: ExitStack, family: Family) -> tuple[Host, Host]:
    """A client, and a server with a private address, whose router has the public one."""
    client, router, server = (stack.enter_context(host(n)) for n in ("client", "router", "server"))
    link(client, "net", router, "public")
    link(router, "private", server, "net")
    client.address("net", f"{family.client}/{family.length}")
    router.address("public", f"{family.public}/{family.length}")
    router.address("private", f"{family.gateway}/{family.length}")
    server.address("net", f"{family.private}/{family.length}")
    server.default_route(family.gateway)
    router.forward()
    rules = NAT.format(
        family=family.name,
        public=family.public,
        private=family.private,
        port=PORT,
        media_port=MEDIA_PORT,
    )
    router.run("nft", "-f", "-", given=rules)
    return client, server


@FAMILIES
async def test_a_call_through_nat_needs_the_advertised_address(
    stack: ExitStack, family: Family
) -> None:
    client, server = behind_nat(stack, family)
    async with public_node(server, names=[family.public]) as node:
        seen = await node.visited(client, "look", family.public)
        assert seen["candidates"] == [[family.private, MEDIA_PORT]]
        with pytest.raises(AssertionError, match="unreachable"):
            client.run("ip", "route", "get", family.private)
    async with public_node(server, names=[family.public], advertise=[family.public]) as node:
        seen = await node.visited(client, "light", family.public)
        assert seen["candidates"] == [[family.public, MEDIA_PORT]]
        assert family.private not in seen["description"]
        assert seen["checked"] > 0
        assert seen["damaged"] == 0
        heard = await node.visited(client, "call", family.public, hertz=440)
        assert heard["hertz"] == pytest.approx(440, abs=3)
        assert family.client not in node.output()


@FAMILIES
async def test_only_the_named_interfaces_are_announced(stack: ExitStack, family: Family) -> None:
    client, server = (stack.enter_context(host(name)) for name in ("client", "server"))
    for interface, network in (("eth0", family.client), ("eth1", family.private)):
        link(client, interface, server, interface)
        pair = ipaddress.ip_network(f"{network}/{family.length}", strict=False)
        server.address(interface, f"{pair[1]}/{family.length}")
        client.address(interface, f"{pair[2]}/{family.length}")
    outer, inner = family.public, family.gateway
    async with public_node(server, names=[outer]) as node:
        seen = await node.visited(client, "look", outer)
        assert sorted(seen["candidates"]) == sorted([[outer, MEDIA_PORT], [inner, MEDIA_PORT]])
    async with public_node(server, names=[outer], interfaces=["eth0"]) as node:
        seen = await node.visited(client, "light", outer)
        assert seen["candidates"] == [[outer, MEDIA_PORT]]
        assert inner not in seen["description"]
        assert seen["checked"] > 0
    with pytest.raises(RuntimeError, match="None of the interfaces in"):
        async with public_node(server, names=[outer], interfaces=["eth9"]):
            pass


@FAMILIES
async def test_answers_leave_from_the_address_that_was_hit(
    stack: ExitStack, family: Family
) -> None:
    client, server = (stack.enter_context(host(name)) for name in ("client", "server"))
    link(client, "net", server, "net")
    network = ipaddress.ip_network(f"{family.client}/{family.length}", strict=False)
    both = [str(network[1]), str(network[9])]
    client.address("net", f"{family.client}/{family.length}")
    server.address("net", *(f"{address}/{family.length}" for address in both))
    # A socket that does not say so answers from one address, whichever was hit
    plain = [await answered_from(client, server, address) for address in both]
    assert len(set(plain)) == 1
    for hit in both:
        async with public_node(server, names=[hit], advertise=[hit]) as node:
            seen = await node.visited(client, "light", hit)
            assert seen["candidates"] == [[hit, MEDIA_PORT]]
            assert seen["checked"] > 0


ECHO = """
import socket, sys
sock = socket.socket(int(sys.argv[1]), socket.SOCK_DGRAM)
sock.settimeout(60)
sock.bind(("", 9999))
print("bound", flush=True)
_, who = sock.recvfrom(99)
sock.sendto(b"echo", who)
"""
ASK = """
import socket, sys
sock = socket.socket(int(sys.argv[1]), socket.SOCK_DGRAM)
sock.settimeout(60)
sock.sendto(b"hello", (sys.argv[2], 9999))
print(sock.recvfrom(99)[1][0])
"""


async def answered_from(client: Host, server: Host, address: str) -> str:
    """Where the answer of a plain wildcard socket comes from, asked at `address`."""
    family = str(int(socket.AF_INET6 if ":" in address else socket.AF_INET))
    echo = await asyncio.create_subprocess_exec(
        *server.command(sys.executable, "-c", ECHO, family), stdout=asyncio.subprocess.PIPE
    )
    assert echo.stdout is not None
    assert await echo.stdout.readline()
    answer = await asyncio.to_thread(client.run, sys.executable, "-c", ASK, family, address)
    await echo.wait()
    return answer.strip()
