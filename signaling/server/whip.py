"""WHIP and WHEP over HTTP: `/whip/{room}`, `/whep/{room}`, and below them one path a session.

    POST    the endpoint   an offer            201, Location, ETag, the answer
    PATCH   a session      an ICE fragment     204; 200, ETag and our fragment after a restart
    DELETE  a session                          200
    GET     either                             204: neither has a representation (RFC 9725 4.1)
    OPTIONS either                             200, for CORS and Accept-Post

Every error is an RFC 9457 problem with a stable code. The bearer is checked before a body is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from signaling.domain.errors import Refusal
from signaling.domain.grants import TrackSource
from signaling.server.admin import Health
from signaling.server.denial import problem
from signaling.server.logs import logger
from signaling.server.metrics import Metrics
from signaling.whip.door import Created, Endpoint, Resource, ResourceDoor, Restarted, Wish

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
BODY_DEADLINE: Final = 10.0  # seconds for a body to arrive
RETRY_AFTER: Final = "5"  # seconds, where the server is full or stopping
MAX_TRACKS: Final = 2  # a viewer can name one of each kind

ON_ENDPOINT: Final = "OPTIONS, GET, HEAD, POST"
ON_SESSION: Final = "OPTIONS, GET, HEAD, PATCH, DELETE"
CORS: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, POST, PATCH, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, If-Match"),
    (b"access-control-expose-headers", b"Location, ETag, Link, Accept-Patch, Retry-After"),
    (b"access-control-max-age", b"86400"),
]

_log = logger(__name__)


def is_resource(path: str) -> bool:
    """Whether a path belongs to these doors."""
    return path.startswith(("/whip/", "/whep/"))


class Resources:
    """ASGI application of both doors."""

    def __init__(self, door: ResourceDoor, health: Health, metrics: Metrics) -> None:
        self._door = door
        self._health = health
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = problem(refusal, _headers_of(refusal))
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001 (the outermost loop; the log tells of our bug)
            _log.exception("resource_failed")
            sentence = "Something went wrong on our side."
            response = problem(Refusal("internal", sentence, status=500))
        response.headers["Cache-Control"] = "no-store"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        place = _place(request.scope)
        if request.method == "OPTIONS":
            return _options(place)
        if place.session is None:
            return await self._at_endpoint(place, request)
        return await self._at_session(Resource(place.endpoint, place.room, place.session), request)

    async def _at_endpoint(self, place: _Place, request: Request) -> Response:
        token = _bearer(request.headers)
        if request.method in ("GET", "HEAD"):
            self._door.admit(place.endpoint, place.room, token)
            return Response(status_code=204)
        if request.method != "POST":
            return _not_allowed(ON_ENDPOINT)
        try:
            created = await self._create(place, token, request)
        except Refusal as refusal:
            self._metrics.join(refusal.code)
            raise
        self._metrics.join("admitted")
        return _created(created)

    async def _create(self, place: _Place, token: str, request: Request) -> Created:
        if self._health.draining:
            raise Refusal("server_stopping", "The server is being restarted.", status=503)
        self._door.admit(place.endpoint, place.room, token)
        wish = _wish(place.endpoint, request.query_params)
        offer = await _body(request, SDP)
        return self._door.create(place.endpoint, place.room, token, offer, wish)

    async def _at_session(self, resource: Resource, request: Request) -> Response:
        token = _bearer(request.headers)
        if request.method in ("GET", "HEAD"):
            self._door.admit_to(resource, token)
            return Response(status_code=204)
        if request.method == "DELETE":
            self._door.delete(resource, token)
            return Response(status_code=200)
        if request.method != "PATCH":
            return _not_allowed(ON_SESSION)
        self._door.admit_to(resource, token)
        fragment = await _body(request, FRAGMENT)
        if_match = ",".join(request.headers.getlist("if-match")) or None
        return _patched(self._door.patch(resource, token, if_match, fragment))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a request goes; `session` None is the endpoint itself."""

    endpoint: Endpoint
    room: str
    session: str | None


def _place(scope: Scope) -> _Place:
    """Read from the raw path: a room's name may hold an escaped slash."""
    raw = scope.get("raw_path") or scope["path"].encode()
    parts = raw.partition(b"?")[0].decode("ascii", "replace").strip("/").split("/")
    try:
        words = [unquote_to_bytes(part).decode() for part in parts]
        endpoint = Endpoint(words[0])
    except ValueError:
        words, endpoint = [], Endpoint.WHIP
    if len(words) not in (2, 3) or not all(words):
        raise Refusal("not_found", "Nothing is served here.", status=404)
    return _Place(endpoint, words[1], words[2] if len(words) == 3 else None)


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _wish(endpoint: Endpoint, query: QueryParams) -> Wish:
    if endpoint is Endpoint.WHEP:
        tracks = tuple(dict.fromkeys(query.getlist("track")))
        if len(tracks) > MAX_TRACKS:
            raise Refusal("query_malformed", "A viewer can name two tracks at most.")
        return Wish(participant=query.get("participant", ""), tracks=tracks)
    source = query.get("source", TrackSource.CAMERA.value)
    if source not in (TrackSource.CAMERA.value, TrackSource.SCREEN_SHARE.value):
        raise Refusal("query_malformed", "A source is camera or screen_share.")
    return Wish(source=TrackSource(source))


async def _body(request: Request, media_type: str) -> str:
    """The body as text; the server's cap on bodies holds while it is read."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise Refusal("wrong_media_type", f"The body must be {media_type}.", status=415)
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            return (await request.body()).decode()
    except TimeoutError:
        raise Refusal("body_too_slow", "The body did not come in time.", status=408) from None
    except UnicodeDecodeError:
        raise Refusal("body_malformed", "The body is not UTF-8.") from None


def _created(created: Created) -> Response:
    at = created.resource
    location = f"/{at.endpoint.value}/{quote(at.room, safe='')}/{at.session}"
    headers = {"Location": location, "ETag": f'"{created.tag}"', "Accept-Patch": FRAGMENT}
    return Response(created.sdp, 201, headers, media_type=SDP)


def _patched(restarted: Restarted | None) -> Response:
    if restarted is None:
        return Response(status_code=204)
    headers = {"ETag": f'"{restarted.tag}"'}
    return Response(restarted.fragment, 200, headers, media_type=FRAGMENT)


def _options(place: _Place) -> Response:
    if place.session is None:
        return Response(headers={"Allow": ON_ENDPOINT, "Accept-Post": SDP})
    return Response(headers={"Allow": ON_SESSION, "Accept-Patch": FRAGMENT})


def _not_allowed(allowed: str) -> Response:
    refusal = Refusal("method_not_allowed", "This method is not served here.", status=405)
    return problem(refusal, {"Allow": allowed})


def _headers_of(refusal: Refusal) -> Mapping[str, str]:
    match refusal.status:
        case 401:
            # RFC 6750 section 3: no error is named to who brought no token
            error = "" if refusal.code == "token_missing" else ' error="invalid_token"'
            return {"WWW-Authenticate": "Bearer" + error}
        case 413 | 408:
            return {"Connection": "close"}  # what is left of the body is not worth reading
        case 429 | 503:
            return {"Retry-After": RETRY_AFTER}
        case 415:
            return {"Accept-Post": SDP, "Accept-Patch": FRAGMENT}
    return {}
