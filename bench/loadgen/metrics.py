"""The server's own counters, read from its admin port to hold against ours."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from bench.loadgen.elsewhere import tcp_socket

_LINE: Final = re.compile(r'^conclave_relay_total\{name="(\w+)"\} (\S+)$', re.MULTILINE)

_DELAY: Final = re.compile(
    r'^conclave_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE
)


async def relay_counters(host: str, port: int, namespace: str = "") -> dict[str, int]:
    """The relay's counters by name; none when the server does not tell."""
    return parse(await admin_page(host, port, namespace))


async def admin_page(host: str, port: int, namespace: str = "") -> str:
    """The server's metrics in Prometheus's text format; empty when it does not tell.

    With a network namespace it is asked on the loopback in there, the only place where it listens.
    """
    try:
        async with asyncio.timeout(30):
            if namespace:
                inside = tcp_socket(namespace)
                await asyncio.get_running_loop().sock_connect(inside, ("127.0.0.1", port))
                reader, writer = await asyncio.open_connection(sock=inside)
            else:
                reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            text = (await reader.read()).decode(errors="replace")
            writer.close()
    except (OSError, TimeoutError):
        return ""
    return text


def parse(text: str) -> dict[str, int]:
    """The relay's counters in Prometheus's text format."""
    return {name: int(float(value)) for name, value in _LINE.findall(text)}


def loop_delays(text: str) -> dict[float, int]:
    """How often the server's event loop woke a sleeper at most so many seconds late."""
    return {float(bound): int(float(count)) for bound, count in _DELAY.findall(text)}


def bound(before: dict[float, int], after: dict[float, int], share: float) -> float | None:
    """The least bound, in seconds, that this share of what came between kept to; None of none."""
    between = {limit: count - before.get(limit, 0) for limit, count in after.items()}
    whole = max(between.values(), default=0)
    if not whole:
        return None
    return min(limit for limit, count in between.items() if count >= share * whole)
