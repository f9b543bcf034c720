"""Network namespaces: hosts of our own with links, routes and a NAT between them.

Everything is named after this process, lives only inside the namespaces, and is gone with them.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

_numbers = itertools.count(1)
_TOOLS = {"ip": "iproute2", "nft": "nftables"}


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace. Printing it shows its name only."""

    name: str

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `arguments` in this namespace, as the same process."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def run(self, *arguments: str, given: str | None = None) -> str:
        """Run a command to its end; its output. Raises AssertionError with what it said."""
        done = subprocess.run(
            self.command(*arguments), input=given, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def address(self, interface: str, *addresses: str) -> None:
        """Give an interface addresses with prefix lengths, usable at once."""
        for address in addresses:
            # An address under duplicate detection (RFC 4862) cannot be bound for a second
            quick = ("nodad",) if ":" in address else ()
            self.run("ip", "address", "add", address, "dev", interface, *quick)

    def default_route(self, *gateways: str) -> None:
        """Send everything else to these, one per family."""
        for gateway in gateways:
            family = "-6" if ":" in gateway else "-4"
            self.run("ip", family, "route", "add", "default", "via", gateway)

    def forward(self) -> None:
        """Route between the interfaces."""
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


@contextmanager
def host(role: str) -> Iterator[Host]:
    """A namespace for the time of the block; everything in it ends with it."""
    _need_namespaces()
    name = f"conclave-{os.getpid()}-{next(_numbers)}-{role}"
    _ip("netns", "add", name)
    try:
        made = Host(name)
        made.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        # Only our own children run in there; a namespace whose last process is gone is freed
        pids = _ip("netns", "pids", name).split()
        for pid in pids:
            subprocess.run(["kill", "-KILL", pid], check=False, capture_output=True)
        _ip("netns", "delete", name)


def link(one: Host, its: str, other: Host, others: str) -> None:
    """A cable: interface `its` of one host to interface `others` of the other, both up."""
    ends = ("name", its, "netns", one.name, "type", "veth", "peer", "name", others)
    _ip("link", "add", *ends, "netns", other.name)
    one.run("ip", "link", "set", its, "up")
    other.run("ip", "link", "set", others, "up")


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def _need_namespaces() -> None:
    """What is missing fails the test where CI must have it, and skips it elsewhere."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if os.geteuid() != 0:
        need = "network namespaces need root"
    elif missing:
        need = f"network namespaces need the Debian packages {' '.join(missing)}"
    else:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(need)
    pytest.skip(need)
