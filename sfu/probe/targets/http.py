"""One HTTP request at a time over a connection of its own; the standard library's client."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sfu.probe.targets import Unreachable

_PATIENCE: Final = 10.0  # seconds
_LONGEST: Final = 1024 * 1024  # bytes of a body


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: str


async def request(
    method: str,
    url: str,
    trust: ssl.SSLContext,
    *,
    headers: Mapping[str, str],
    body: str = "",
) -> Answer:
    """Ask, off the event loop. Raises `Unreachable` when there is no answer."""
    return await asyncio.to_thread(_request, method, url, trust, headers, body)


def _request(
    method: str, url: str, trust: ssl.SSLContext, headers: Mapping[str, str], body: str
) -> Answer:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=_PATIENCE, context=trust)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_PATIENCE)
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    try:
        connection.request(method, path, body.encode(), dict(headers))
        answer = connection.getresponse()
        text = answer.read(_LONGEST).decode(errors="replace")
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, text)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from None
    finally:
        connection.close()
