"""Which ICE candidates our SDP announces (RFC 8445 section 5.1.1, host candidates only)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence

import ifaddr

from sfu.options import MediaOptions
from sfu.sdp import Candidate

# RFC 8445 section 5.1.2.2
_HOST_PREFERENCE = 126
# A description must stay small; a machine with more addresses should name its interfaces.
MAX_CANDIDATES = 16
# Seconds. To ask the system takes longer than a handshake does, and its answer changes rarely.
KEPT = 2.0


class NothingToAnnounce(Exception):
    """No address of this machine can be given to clients."""


Interfaces = Callable[[], Sequence[tuple[str, str]]]


class Announcements:
    """What each worker's peers are told, looked up anew when it is older than `KEPT`.

    `clock` counts seconds and never goes back.
    """

    def __init__(
        self, options: MediaOptions, interfaces: Interfaces, clock: Callable[[], float]
    ) -> None:
        self._options = options
        self._interfaces = interfaces
        self._clock = clock
        self._known: dict[tuple[tuple[str, int], ...], tuple[float, tuple[Candidate, ...]]] = {}

    def of(self, addresses: Sequence[tuple[str, int]]) -> tuple[Candidate, ...]:
        """The candidates of a worker that listens on these addresses."""
        now, at = self._clock(), tuple(addresses)
        since, found = self._known.get(at, (now, ()))
        if not found or now - since >= KEPT:
            found = candidates(at, self._options, self._interfaces)
            self._known[at] = now, found
        return found


def system_interfaces() -> Sequence[tuple[str, str]]:
    """(interface name, address) of this machine."""
    found = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            address = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            found.append((adapter.name, address))
    return found


def candidates(
    addresses: Sequence[tuple[str, int]],
    options: MediaOptions,
    interfaces: Interfaces = system_interfaces,
) -> tuple[Candidate, ...]:
    """One candidate per address a client may reach us at, best first.

    `addresses` are the relay's. Advertised addresses stand instead of ours, on the same port for
    their family. Loopback is announced only when the relay is bound to it alone.
    """
    reachable: dict[tuple[str, int], None] = {}
    for bound, port in addresses:
        for address in _behind(bound, options, interfaces):
            reachable.setdefault((address, port))
    return tuple(
        Candidate(
            ip=address,
            port=port,
            priority=(_HOST_PREFERENCE << 24) | ((65535 - index) << 8) | 255,
            foundation=str(index + 1),
        )
        for index, (address, port) in enumerate(list(reachable)[:MAX_CANDIDATES])
    )


def _behind(bound: str, options: MediaOptions, interfaces: Interfaces) -> Iterable[str]:
    """The addresses that lead to one socket."""
    at = ipaddress.ip_address(bound)
    if options.advertise:
        return [a for a in options.advertise if ipaddress.ip_address(a).version == at.version]
    if not at.is_unspecified:
        return [bound]
    return [
        address
        for name, address in interfaces()
        if _announceable(address, at.version)
        and (not options.interfaces or name in options.interfaces)
    ]


def _announceable(address: str, version: int) -> bool:
    parsed = ipaddress.ip_address(address)
    return (
        parsed.version == version
        and not parsed.is_loopback
        and not parsed.is_link_local
        and not parsed.is_unspecified
    )
