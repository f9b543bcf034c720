"""The public listener's application: every layer a request passes, outermost first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signaling.domain.errors import Refusal
from signaling.livekit.door import Door
from signaling.ports import Authenticator, Clock
from signaling.server.addresses import ClientAddresses
from signaling.server.admin import Health
from signaling.server.api import Api, Mint, OwnTransports, PageConfig
from signaling.server.denial import deny, plain, problem
from signaling.server.limits import JOIN_PATHS, ConnectionCounts, JoinRate, LimitBody, LimitJoins
from signaling.server.metrics import Metrics
from signaling.server.origin import OriginGuard, OwnOrigins
from signaling.server.page import Page, page_headers
from signaling.server.rtc import Doorstep
from signaling.server.whip import CORS as RESOURCE_CORS
from signaling.server.whip import Resources, is_resource
from signaling.whip.door import ResourceDoor

# Any page may call these: they need a token, and no cookie exists that a stranger could ride on.
CORS_PATHS: Final = JOIN_PATHS | {"/", "/v1/me/transport"}

_CORS: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    # Fetch 4.10: the wildcard does not stand for Authorization
    (b"access-control-allow-headers", b"Authorization, *"),
    (b"access-control-max-age", b"86400"),
]


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """How the edge behaves."""

    page: PageConfig
    dist: Path
    secure: bool
    joins_per_minute: int
    connections_per_address: int
    addresses: ClientAddresses
    own_origins: OwnOrigins | None = None  # development: the only ones served


@dataclass(frozen=True, slots=True)
class EdgeServices:
    """Whom the edge calls."""

    door: Door
    resources: ResourceDoor
    authenticator: Authenticator
    transports: OwnTransports
    clock: Clock
    health: Health
    metrics: Metrics
    mint: Mint | None = None


def edge(options: EdgeOptions, services: EdgeServices) -> ASGIApp:
    """The application of the public listener."""
    api = Api(
        options.page,
        services.authenticator,
        services.transports,
        services.clock,
        services.mint,
    )
    pages = Starlette(
        routes=[*api.routes(), Mount("/", Page(options.dist))],
        exception_handlers={Refusal: _refused, HTTPException: _http_error},
    )
    doorstep = Doorstep(services.door, services.health, services.metrics)
    resources = Resources(services.resources, services.health, services.metrics)
    app: ASGIApp = _Routes(doorstep, resources, pages)
    app = LimitBody(app)
    app = LimitJoins(
        app,
        options.addresses,
        JoinRate(options.joins_per_minute),
        ConnectionCounts(options.connections_per_address),
        services.clock.monotonic,
    )
    if options.own_origins is not None:
        app = OriginGuard(app, options.own_origins)
    headers = page_headers(development=options.page.development, secure=options.secure)
    return _Envelope(app, headers)


class _Envelope:
    """Headers of every answer, CORS and its preflight, and one slash for many."""

    def __init__(self, app: ASGIApp, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._app = app
        self._headers = list(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A base URL with a trailing slash makes clients ask for //rtc; LiveKit serves that too
        path = re.sub(r"^/{2,}", "/", scope["path"])
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        extra = self._headers + _cors(path)

        async def dressed(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        if scope.get("method") == "OPTIONS" and path in CORS_PATHS:
            await Response(status_code=204)(scope, receive, dressed)
        else:
            await self._app(scope, receive, dressed)


def _cors(path: str) -> list[tuple[bytes, bytes]]:
    if is_resource(path):
        return RESOURCE_CORS
    return _CORS if path in CORS_PATHS else []


class _Routes:
    """LiveKit's endpoints to the doorstep, WHIP's and WHEP's to theirs, other HTTP to the pages."""

    def __init__(self, doorstep: ASGIApp, resources: ASGIApp, pages: ASGIApp) -> None:
        self._doorstep = doorstep
        self._resources = resources
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in JOIN_PATHS:
            await self._doorstep(scope, receive, send)
        elif scope["type"] == "http" and is_resource(scope["path"]):
            await self._resources(scope, receive, send)
        elif scope["type"] == "http":
            await self._pages(scope, receive, send)
        else:
            refusal = Refusal("not_found", "No WebSocket is served here.", status=404)
            await deny(scope, receive, send, refusal)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    # 413: what is left of the body is not worth reading
    headers = {401: {"WWW-Authenticate": "Bearer"}, 413: {"Connection": "close"}}
    return problem(error, headers.get(error.status))


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (unknown path, wrong method) in our two forms."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    sentences = {404: "Nothing is served here.", 405: "This method is not served here."}
    refusal = Refusal(
        codes.get(error.status_code, "http_error"),
        sentences.get(error.status_code, "The request cannot be served."),
        status=error.status_code,
    )
    form = problem if request.url.path.startswith("/v1/") else plain
    return form(refusal, error.headers)
