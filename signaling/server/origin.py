"""The development guard: only pages of this very server, under its own names, may talk to it.

A page of a stranger can point a name of its own at 127.0.0.1 (DNS rebinding) and then reach a
development server as "same origin". The name it used still stands in Host, its own in Origin.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from signaling.domain.errors import Refusal
from signaling.server.denial import deny


class OwnOrigins:
    """The hosts and origins a loopback server has."""

    def __init__(self, port: int, *, secure: bool) -> None:
        default = 443 if secure else 80
        names = [
            f"{name}{suffix}"
            for name in ("localhost", "127.0.0.1", "[::1]")
            for suffix in ([f":{port}", ""] if port == default else [f":{port}"])
        ]
        self._hosts = frozenset(names)
        self._origins = frozenset(f"{'https' if secure else 'http'}://{name}" for name in names)

    def is_host(self, host: str) -> bool:
        """Whether a Host header names this server."""
        return host.lower() in self._hosts

    def is_origin(self, origin: str) -> bool:
        """Whether an Origin header names a page of this server."""
        return origin.lower() in self._origins


class OriginGuard:
    """ASGI middleware: refuses a foreign Host, and a foreign Origin where one is given."""

    def __init__(self, app: ASGIApp, own: OwnOrigins) -> None:
        self._app = app
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 421 or 403."""
        refusal = self._judge(Headers(scope=scope))
        if refusal is not None:
            await deny(scope, receive, send, refusal)
        else:
            await self._app(scope, receive, send)

    def _judge(self, headers: Headers) -> Refusal | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._own.is_host(hosts[0]):
            sentence = "This development server answers only as localhost."
            return Refusal("wrong_host", sentence, status=421)
        if not all(self._own.is_origin(origin) for origin in origins):
            sentence = "This development server answers only its own page."
            return Refusal("wrong_origin", sentence, status=403)
        return None
