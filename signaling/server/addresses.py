"""Whom a request comes from: the socket's peer, or what a trusted proxy says about it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, Final

from starlette.datastructures import Headers

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"  # one bucket for all whose address cannot be read

_IPV6_SITE: Final = 64  # bits one customer usually has to itself (RFC 6177)


class ClientAddresses:
    """Reads the client's address of an ASGI scope.

    A forwarding header counts only when the socket's peer is a trusted proxy, and then from the
    right: each trusted hop is believed about its own left neighbour, so whatever a client wrote
    itself is never reached. Only the one header the proxies are known to set is read, since they
    pass the other through untouched (RFC 7239 section 8.1).
    """

    def __init__(self, trusted: Sequence[Network], header: str) -> None:
        self._trusted = tuple(trusted)
        self._header = header

    def of(self, scope: Any) -> str:
        """The client's address, an IPv6 one as its /64, or `UNKNOWN`."""
        peer = peer_address(scope.get("client"))
        if peer is None:
            return UNKNOWN
        if not self.is_trusted(peer):
            return site(peer)
        client = peer
        for hop in reversed(self._hops(Headers(scope=scope).getlist(self._header))):
            if hop is None:
                return UNKNOWN if client is peer else site(client)
            client = hop
            if not self.is_trusted(hop):
                break
        return site(client)

    def is_trusted(self, address: Address) -> bool:
        """Whether this is a proxy of ours."""
        return any(address in network for network in self._trusted)

    def _hops(self, values: Iterable[str]) -> list[Address | None]:
        parts = [part.strip() for value in values for part in value.split(",")]
        if self._header == "forwarded":
            parts = [_forwarded_for(part) for part in parts]
        return [parse(part) for part in parts]


def peer_address(client: Any) -> Address | None:
    """The address in an ASGI `client` pair."""
    return parse(client[0]) if client else None


def parse(text: str) -> Address | None:
    """An address, perhaps with a port or in brackets; IPv4 in IPv6 counts as IPv4."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def site(address: Address) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 /64."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False))
    return str(address)


def _forwarded_for(element: str) -> str:
    """The `for` parameter of one element of RFC 7239's header."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return value
    return ""
