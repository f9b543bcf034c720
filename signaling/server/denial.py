"""Refusing a request before anything has answered it, over HTTP or a WebSocket handshake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from signaling.domain.errors import Refusal

PROBLEMS_BELOW: Final = ("/v1/", "/whip/", "/whep/")
_PROBLEM_TYPE: Final = "application/problem+json"


async def deny(
    scope: Scope,
    receive: Receive,
    send: Send,
    refusal: Refusal,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with the refusal's status: problem JSON where `PROBLEMS_BELOW` says so, plain text
    elsewhere.

    A WebSocket handshake is answered through ASGI's `websocket.http.response` extension, which
    sends status and body instead of a bare 403.
    """
    if scope["path"].startswith(PROBLEMS_BELOW):
        response = problem(refusal, headers)
    else:
        response = plain(refusal, headers)
    await response(scope, receive, send)


def plain(refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    """The sentence alone, as LiveKit's clients show it."""
    return PlainTextResponse(refusal.sentence, refusal.status, headers)


def problem(refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    """RFC 9457 problem details, with our stable `code` beside them."""
    body = {"title": refusal.sentence, "status": refusal.status, "code": refusal.code}
    return JSONResponse(body, refusal.status, headers, media_type=_PROBLEM_TYPE)
