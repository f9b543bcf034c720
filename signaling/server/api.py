"""`/v1/…`: what the page asks of the server, as JSON. Errors are RFC 9457 problems with a code."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from signaling.domain.errors import Refusal
from signaling.ports import Authenticator, Clock, TransportReport

MAX_NAME: Final = 128  # characters of a name or a room in development


@dataclass(frozen=True, slots=True)
class Minted:
    """A token the development page may use. Not printable: it carries the token."""

    token: str
    identity: str
    room: str

    def __repr__(self) -> str:
        return "Minted()"


class OwnTransports(Protocol):
    """What a participant may know about its own transports."""

    def transports(self, room: str, identity: str) -> tuple[str, Sequence[TransportReport]] | None:
        """The participant's sid and its transports as recorded; None when not in the room."""
        ...


Mint = Callable[[str, str], Minted]
"""Makes a token for (room, name)."""


@dataclass(frozen=True, slots=True)
class PageConfig:
    """What the page needs to know before anybody has signed in."""

    version: str
    policy: str
    development: bool


class Api:
    """The routes below `/v1/`."""

    def __init__(
        self,
        page: PageConfig,
        authenticator: Authenticator,
        transports: OwnTransports,
        clock: Clock,
        mint: Mint | None,
    ) -> None:
        self._page = page
        self._authenticator = authenticator
        self._transports = transports
        self._clock = clock
        self._mint = mint

    def routes(self) -> list[Route]:
        """The routes; minting is one of them only in development."""
        routes = [
            Route("/v1/page/config", self._config, methods=["GET"]),
            Route("/v1/me/transport", self._own_transport, methods=["GET"]),
        ]
        if self._mint is not None:
            routes.append(Route("/v1/dev/token", self._dev_token, methods=["POST"]))
        return routes

    async def _config(self, _request: Request) -> Response:
        return JSONResponse(asdict(self._page), headers={"Cache-Control": "no-store"})

    async def _own_transport(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = ""
        claims = self._authenticator.authenticate(token.strip(), self._clock.now())
        found = self._transports.transports(claims.room, claims.identity)
        if found is None:
            raise Refusal("not_in_room", "You are not in this room now.", status=404)
        participant, reports = found
        body = {"participant": participant, "transports": [_report(each) for each in reports]}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def _dev_token(self, request: Request) -> Response:
        assert self._mint is not None
        if "origin" not in request.headers:  # the guard has checked the one that is there
            raise Refusal("wrong_origin", "Only this server's own page may ask.", status=403)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refusal("not_json", "The request must be application/json.", status=415)
        room, name = _wish(await request.body())
        minted = self._mint(room, name)
        body = {"token": minted.token, "identity": minted.identity, "room": minted.room}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _wish(body: bytes) -> tuple[str, str]:
    """Room and name out of the page's request."""
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError):
        wish = None
    room, name = (wish.get("room"), wish.get("name")) if isinstance(wish, dict) else (None, None)
    if not isinstance(room, str) or not isinstance(name, str):
        raise Refusal("malformed", "The request must name a room and a name.")
    room, name = room.strip(), name.strip()
    if not 0 < len(room) <= MAX_NAME or not 0 < len(name) <= MAX_NAME:
        raise Refusal("malformed", f"A room and a name have 1 to {MAX_NAME} characters.")
    return room, name


def _report(report: TransportReport) -> dict[str, Any]:
    return {**asdict(report), "role": report.role.value}
