"""The admin listener: metrics and health, on loopback or for whoever has the bearer token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from signaling.domain.errors import Refusal
from signaling.server.denial import plain
from signaling.server.metrics import CONTENT_TYPE, Metrics


@dataclass(slots=True)
class Health:
    """Whether the process can take calls. `working` asks the media plane."""

    working: Callable[[], bool]
    draining: bool = False

    def ready(self) -> bool:
        """Media works and nobody asked us to stop."""
        return not self.draining and self.working()


def admin(metrics: Metrics, health: Health, token: str | None) -> ASGIApp:
    """The application of the admin listener; every path needs the token when there is one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await _answer(Request(scope), metrics, health, token)(scope, receive, send)

    return app


def _answer(request: Request, metrics: Metrics, health: Health, token: str | None) -> Response:
    if token is not None and not _presents(request, token):
        refusal = Refusal("unauthorized", "A bearer token is needed.", status=401)
        return plain(refusal, {"WWW-Authenticate": "Bearer"})
    if request.method not in ("GET", "HEAD"):
        refusal = Refusal("method_not_allowed", "Only GET is served here.", status=405)
        return plain(refusal, {"Allow": "GET, HEAD"})
    match request.url.path:
        case "/metrics":
            return Response(metrics.exposition(), media_type=CONTENT_TYPE)
        case "/healthz":
            return PlainTextResponse("alive\n")
        case "/readyz":
            if health.ready():
                return PlainTextResponse("ready\n")
            return PlainTextResponse("draining\n" if health.draining else "media is down\n", 503)
        case _:
            return plain(Refusal("not_found", "Nothing is served here.", status=404))


def _presents(request: Request, token: str) -> bool:
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        presented.strip().encode(), token.encode()
    )
