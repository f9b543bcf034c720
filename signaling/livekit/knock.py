"""What a client asks for at the door: the two URLs of LiveKit, parsed and capped.

    /rtc/v1?join_request=…   one peer connection; protobuf, perhaps gzip, in base64url
    /rtc?…                   two peer connections; flat query parameters

Each has a `/validate` twin for plain GET. Malformed input raises `Refusal` with status 400 (401 for
the token): `path_unknown`, `token_missing`, `token_malformed`, `join_request_missing`,
`join_request_malformed`, `join_request_too_large`, `query_malformed`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from signaling.calls.joining import JoinRequest
from signaling.domain.errors import Refusal
from signaling.domain.people import Client
from signaling.livekit.door import Knock

MAX_ENCODED = 256 * 1024
"""Characters of `join_request`; the largest seen is under 3 KiB."""
MAX_INFLATED = 1024 * 1024
"""Bytes of an inflated JoinRequest, as LiveKit has it."""
MAX_TOKEN = 64 * 1024
_MAX_CAPABILITIES = 32
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description with its sender's number for it."""

    sdp: str
    id: int


@dataclass(frozen=True, slots=True)
class JoinWish:
    """A parsed knock. `reconnect`: the client wants to resume a session."""

    token: str = field(repr=False)
    request: JoinRequest = field(repr=False)
    offer: Offer | None = field(default=None, repr=False)
    reconnect: bool = False


def parse_knock(knock: Knock) -> JoinWish:
    """The wish behind a request. Raises `Refusal`."""
    path = "/" + knock.path.lstrip("/").rstrip("/").removesuffix("/validate")
    if path not in ("/rtc", "/rtc/v1"):
        raise Refusal("path_unknown", "There is nothing here.", status=404)
    token = _token(knock)
    room = knock.query.get("room", "")
    if path == "/rtc/v1" or "join_request" in knock.query:
        return _single(token, room, knock.query.get("join_request", ""))
    return _dual(token, room, knock.query)


def _token(knock: Knock) -> str:
    if knock.authorization is not None:
        scheme, _, token = knock.authorization.partition(" ")
        if scheme != "Bearer" or not token.strip():
            raise Refusal(
                "token_malformed", "The Authorization header is not a bearer token.", status=401
            )
    else:
        token = knock.query.get("access_token", "")
    token = token.strip()
    if not token:
        raise Refusal("token_missing", "A token is required.", status=401)
    if len(token) > MAX_TOKEN:
        raise Refusal("token_malformed", "The token is too long.", status=401)
    return token


# --- /rtc/v1 -----------------------------------------------------------------------------------


def _single(token: str, room: str, encoded: str) -> JoinWish:
    join = decode_join_request(encoded)
    settings = join.connection_settings
    offer = join.publisher_offer
    if join.HasField("publisher_offer") and offer.type != "offer":
        raise Refusal("join_request_malformed", "The join request's offer is not an offer.")
    return JoinWish(
        token=token,
        request=JoinRequest(
            room=room,
            dual=False,
            auto_subscribe=settings.auto_subscribe,
            adaptive_stream=settings.adaptive_stream,
            client=_client(join.client_info),
            metadata=join.metadata,
            attributes=tuple(join.participant_attributes.items()),
        ),
        offer=Offer(offer.sdp, offer.id) if join.HasField("publisher_offer") else None,
        reconnect=join.reconnect,
    )


def decode_join_request(encoded: str) -> rtc.JoinRequest:
    """Unwrap, inflate and parse; at most `MAX_INFLATED` bytes are ever allocated for it."""
    if not encoded:
        raise Refusal("join_request_missing", "The join_request parameter is missing.")
    if len(encoded) > MAX_ENCODED:
        raise Refusal("join_request_too_large", "The join request is too large.")
    wrapped, join = rtc.WrappedJoinRequest(), rtc.JoinRequest()
    try:
        wrapped.ParseFromString(_unbase64(encoded))
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            join.ParseFromString(_inflate(wrapped.join_request))
        elif wrapped.compression == rtc.WrappedJoinRequest.NONE:
            join.ParseFromString(wrapped.join_request)
        else:
            raise Refusal("join_request_malformed", "The join request's compression is unknown.")
    except (DecodeError, binascii.Error, zlib.error, ValueError):
        raise Refusal("join_request_malformed", "The join request cannot be read.") from None
    return join


def _unbase64(text: str) -> bytes:
    bare = text.rstrip("=")
    padded = (bare + "=" * (-len(bare) % 4)).encode("ascii")
    return base64.b64decode(padded, altchars=b"-_", validate=True)


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    plain = inflater.decompress(packed, MAX_INFLATED + 1)
    if len(plain) > MAX_INFLATED:
        raise Refusal("join_request_too_large", "The join request is too large.")
    if not inflater.eof:
        raise zlib.error("truncated")
    return plain


def _client(info: models.ClientInfo) -> Client:
    known = models.ClientInfo.Capability.values()
    names = [models.ClientInfo.Capability.Name(c) for c in info.capabilities if c in known]
    return Client(info.protocol, info.client_protocol, tuple(names[:_MAX_CAPABILITIES]))


# --- /rtc --------------------------------------------------------------------------------------


def _dual(token: str, room: str, query: Mapping[str, str]) -> JoinWish:
    known = models.ClientInfo.Capability.keys()
    named = query.get("capabilities", "").split(",")[:_MAX_CAPABILITIES]
    return JoinWish(
        token=token,
        request=JoinRequest(
            room=room,
            dual=True,
            auto_subscribe=_flag(query.get("auto_subscribe", ""), absent=True),
            adaptive_stream=_flag(query.get("adaptive_stream", ""), absent=False),
            client=Client(
                protocol=_number(query.get("protocol", "")),
                client_protocol=_number(query.get("client_protocol", "")),
                capabilities=tuple(name for name in named if name in known),
            ),
            attributes=_attributes(query.get("attributes", "")),
        ),
        reconnect=_flag(query.get("reconnect", ""), absent=False),
    )


def _flag(text: str, *, absent: bool) -> bool:
    if not text:
        return absent
    if text in ("1", "true"):
        return True
    if text in ("0", "false"):
        return False
    raise Refusal("query_malformed", "A switch in the query is neither on nor off.")


def _number(text: str) -> int:
    """Up to nine digits, nought when absent: it must fit LiveKit's int32."""
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Refusal("query_malformed", "A number in the query is not a number.")
    return int(text)


def _attributes(text: str) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    if len(text) > MAX_ENCODED:
        raise Refusal("query_malformed", "The attributes are too large.")
    try:
        parsed = json.loads(_unbase64(text))
    except (ValueError, RecursionError):
        raise Refusal("query_malformed", "The attributes cannot be read.") from None
    if not isinstance(parsed, dict) or not all(isinstance(v, str) for v in parsed.values()):
        raise Refusal("query_malformed", "The attributes are not strings by name.")
    return tuple(parsed.items())
