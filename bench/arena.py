"""Where servers are compared: two network namespaces and a cable, a core for each side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.faults.namespaces import Host, host, link

SERVER_ADDRESS: Final = "10.80.0.1"
PEOPLE_ADDRESS: Final = "10.80.0.2"
_SERVER_END, _PEOPLE_END = "server", "people"


@dataclass(frozen=True, slots=True)
class Arena:
    """Both ends, and what runs there is to run on."""

    server: Host
    people: Host
    server_core: int
    people_core: int

    @property
    def on_server_core(self) -> tuple[str, ...]:
        """Words before a command that is to run on the server's core, and become it."""
        return ("taskset", "-c", str(self.server_core))

    @property
    def on_people_core(self) -> tuple[str, ...]:
        """The same on the generator's core."""
        return ("taskset", "-c", str(self.people_core))


@contextmanager
def arena(server_core: int, people_core: int, *, steered: bool = True) -> Iterator[Arena]:
    """For the time of the block. Needs root; raises AssertionError where it cannot be made.

    What reaches people is taken in by their own core (receive packet steering), as if an interrupt
    had brought it there. Unless `steered`, it is taken in within the server's call that sends it:
    the clients' whole receive path, sockets and wake-ups included, on the server's account. What
    reaches the server is taken in within the generator's call, on the generator's account.
    """
    with host("server") as server, host("people") as people:
        link(server, _SERVER_END, people, _PEOPLE_END)
        server.address(_SERVER_END, f"{SERVER_ADDRESS}/24")
        people.address(_PEOPLE_END, f"{PEOPLE_ADDRESS}/24")
        if steered:
            _steer(people, _PEOPLE_END, people_core)
        yield Arena(server, people, server_core, people_core)


def _steer(end: Host, interface: str, core: int) -> None:
    queue = f"/sys/class/net/{interface}/queues/rx-0/rps_cpus"
    end.run("sh", "-c", f"echo {1 << core:x} > {queue}")
