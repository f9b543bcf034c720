"""How the media plane is set up: parsed once by whoever starts it, frozen here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sfu.crypto_policy import STANDARD, CryptoPolicy

MOST_COALESCE_US = 1000
"""The relay lets no packet wait for longer."""


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """Addresses are numeric. Raises `ValueError` for any other, for no bind, for a bad limit."""

    binds: tuple[str, ...] = ("127.0.0.1",)
    port: int = 7882  # UDP, on every bind, of the first worker; 0 takes free ones
    workers: int = 1  # each on the port after the one before
    spill_at: float = 0.7  # share of a core above which a worker's rooms go over to others
    advertise: tuple[str, ...] = ()  # public addresses in front of us, instead of our own
    interfaces: tuple[str, ...] = ()  # names to take candidates from, all when empty
    policy: CryptoPolicy = STANDARD
    coalesce_us: int = MOST_COALESCE_US  # a packet may wait so long for others; 0 for never
    max_peers: int = 4096
    # Handshakes between hello and keys; each costs about 1 ms of CPU and 120 kB until done.
    max_handshakes: int = 256
    # From the client's description to keys, ICE included, seconds.
    handshake_seconds: float = 20.0

    def __post_init__(self) -> None:
        if not self.binds:
            raise ValueError("no address to bind to")
        for address in (*self.binds, *self.advertise):
            ipaddress.ip_address(address)
        if self.workers < 1:
            raise ValueError("there must be a worker")
        if not 0 <= self.port <= 65536 - self.workers:
            raise ValueError("the ports must be 0 to 65535")
        if not 0 <= self.coalesce_us <= MOST_COALESCE_US:
            raise ValueError(f"a packet may wait for 0 to {MOST_COALESCE_US} microseconds")
        if min(self.max_peers, self.max_handshakes) < 1 or self.handshake_seconds <= 0:
            raise ValueError("limits must be positive")
