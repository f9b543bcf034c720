"""LiveKit's access tokens: JWTs signed with HS256 by an API key's secret (RFC 7515, 7519).

A token is verified in the order an attacker would probe it: size, shape, algorithm, key,
signature, times, lifetime, and only then what it says. Nothing in it is believed before its
signature holds, save `iss`, which picks the secret that must have made the signature.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

from signaling.domain.errors import Refusal
from signaling.domain.grants import Claims, TrackSource

ALGORITHM: Final = "HS256"
LEEWAY: Final = 60.0  # seconds of clock difference forgiven, as LiveKit's verifier does
MAX_TOKEN_BYTES: Final = 16 * 1024  # fits LiveKit's largest usual grants, and our request line
MAX_IDENTITY: Final = 256  # characters, LiveKit's limit for identities, names and rooms
MIN_SECRET_BYTES: Final = 32  # RFC 7518 3.2: at least the hash's output
DEFAULT_MAX_LIFETIME: Final = 24 * 3600.0  # seconds

_KINDS: Final = frozenset({"standard", "ingress", "egress", "sip", "agent", "connector", "bridge"})


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key: the secret that signs its tokens, and how long such a token may live.

    `max_lifetime` is in seconds. The secret never appears in a repr.
    """

    secret: bytes = field(repr=False)
    max_lifetime: float = DEFAULT_MAX_LIFETIME

    def __post_init__(self) -> None:
        if not self.secret:
            raise ValueError("an API secret must not be empty")


class LiveKitTokens:
    """The `Authenticator` for LiveKit tokens signed by the given API keys."""

    def __init__(self, keys: Mapping[str, ApiKey]) -> None:
        self._keys = dict(keys)
        self._verifiers = {name: OctKey.import_key(key.secret) for name, key in keys.items()}
        self._registry = JWSRegistry(algorithms=[ALGORITHM])

    def authenticate(self, token: str, now: float) -> Claims:
        """Verify `token` at Unix time `now`; see `signaling.ports.Authenticator` for the codes."""
        header, unverified = _parse(token)
        if header.get("alg") != ALGORITHM:
            raise _refusal("token_algorithm", f"The token must be signed with {ALGORITHM}.")
        issuer = unverified.get("iss")
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise _refusal("token_unknown_key", "The token's API key is not known here.")
        payload = self._verify(token, issuer)
        not_before, not_after = self._check_times(payload, self._keys[issuer], now)
        return _claims(payload, issuer, not_before, not_after)

    def _verify(self, token: str, issuer: str) -> dict[str, Any]:
        try:
            verified = jwt.decode(
                token, self._verifiers[issuer], algorithms=[ALGORITHM], registry=self._registry
            )
        except (JoseError, ValueError) as error:
            raise _refusal("token_signature", "The token's signature is not valid.") from error
        return verified.claims

    @staticmethod
    def _check_times(
        payload: Mapping[str, Any], key: ApiKey, now: float
    ) -> tuple[float | None, float]:
        expires = _seconds(payload, "exp")
        not_before = _seconds(payload, "nbf")
        issued = _seconds(payload, "iat")
        if expires is None:
            raise _refusal("token_malformed", "The token has no expiry (exp).")
        if now >= expires + LEEWAY:
            raise _refusal("token_expired", "The token has expired.")
        if not_before is not None and now < not_before - LEEWAY:
            raise _refusal("token_not_yet", "The token is not valid yet.")
        start = not_before if not_before is not None else issued if issued is not None else now
        if expires - start > key.max_lifetime:
            raise _refusal(
                "token_too_long_lived",
                f"The token lives longer than the {key.max_lifetime:.0f} s its API key allows.",
            )
        return not_before, expires


def mint(
    api_key: str,
    secret: bytes,
    *,
    identity: str,
    room: str,
    now: float,
    ttl: float,
    name: str = "",
    can_publish: bool = True,
    can_subscribe: bool = True,
    can_publish_data: bool = True,
    sources: Iterable[TrackSource] = (),
    hidden: bool = False,
) -> str:
    """A token for `identity` to join `room`, valid from `now` (Unix seconds) for `ttl` seconds.

    Raises ValueError when LiveKit would refuse it at the door: an empty identity or room.
    """
    if not identity or not room:
        raise ValueError("a token needs an identity and a room")
    if ttl <= 0:
        raise ValueError("a token must live for some time")
    video: dict[str, Any] = {
        "roomJoin": True,
        "room": room,
        "canPublish": can_publish,
        "canSubscribe": can_subscribe,
        "canPublishData": can_publish_data,
    }
    listed = sorted(source.value for source in sources)
    if listed:
        video["canPublishSources"] = listed
    if hidden:
        video["hidden"] = True
    claims: dict[str, Any] = {
        "iss": api_key,
        "sub": identity,
        "nbf": int(now),
        "exp": int(now + ttl),
        "video": video,
    }
    if name:
        claims["name"] = name
    return jwt.encode({"alg": ALGORITHM}, claims, OctKey.import_key(secret), [ALGORITHM])


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, neither of them believed."""
    if not token:
        raise _refusal("token_missing", "A token is needed to join.")
    if len(token) > MAX_TOKEN_BYTES:
        raise _refusal("token_malformed", f"The token is larger than {MAX_TOKEN_BYTES} bytes.")
    segments = token.split(".")
    if len(segments) != 3:
        raise _refusal("token_malformed", "The token is not a signed JWT.")
    return _json_segment(segments[0]), _json_segment(segments[1])


def _json_segment(segment: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(
            segment.encode("ascii") + b"=" * (-len(segment) % 4), altchars=b"-_", validate=True
        )
        value = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _refusal("token_malformed", "The token is not a readable JWT.") from error
    if not isinstance(value, dict):
        raise _refusal("token_malformed", "The token is not a readable JWT.")
    return value


def _claims(
    payload: Mapping[str, Any], issuer: str, not_before: float | None, not_after: float
) -> Claims:
    video = payload.get("video")
    if video is None or (isinstance(video, dict) and not _flag(video, "roomJoin", False)):
        raise _refusal("token_no_join", "The token does not allow joining a room (roomJoin).")
    if not isinstance(video, dict):
        raise _mistyped("video")
    room = _text(video, "room", MAX_IDENTITY)
    if not room:
        raise _refusal("token_no_join", "The token names no room to join.")
    identity = _text(payload, "sub", MAX_IDENTITY) or _text(payload, "jti", MAX_IDENTITY)
    if not identity:
        raise _refusal("token_malformed", "The token names no participant (sub).")
    kind = _text(payload, "kind", MAX_IDENTITY).lower()
    can_publish = _flag(video, "canPublish", True)
    return Claims(
        api_key=issuer,
        identity=identity,
        room=room,
        not_before=not_before,
        not_after=not_after,
        room_join=True,
        name=_text(payload, "name", MAX_IDENTITY),
        metadata=_text(payload, "metadata", MAX_TOKEN_BYTES),
        attributes=_attributes(payload),
        kind=kind if kind in _KINDS else "standard",
        can_publish=can_publish,
        can_subscribe=_flag(video, "canSubscribe", True),
        can_publish_data=_flag(video, "canPublishData", can_publish),
        can_publish_sources=_sources(video),
        can_update_own_metadata=_flag(video, "canUpdateOwnMetadata", False),
        hidden=_flag(video, "hidden", False),
        recorder=_flag(video, "recorder", False),
        agent=_flag(video, "agent", False),
    )


def _seconds(payload: Mapping[str, Any], name: str) -> float | None:
    value = payload.get(name)
    if value is None:
        return None
    # bool is an int in Python and JSON here knows NaN and Infinity: neither is a date
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mistyped(name)
    try:
        seconds = float(value)
    except OverflowError as error:
        raise _mistyped(name) from error
    if not math.isfinite(seconds):
        raise _mistyped(name)
    return seconds


def _flag(grants: Mapping[str, Any], name: str, default: bool) -> bool:
    value = grants.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _mistyped(name)
    return value


def _text(payload: Mapping[str, Any], name: str, limit: int) -> str:
    value = payload.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _mistyped(name)
    if len(value) > limit:
        raise _refusal("token_malformed", f"The token's {name} is longer than {limit} characters.")
    return value


def _attributes(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    value = payload.get("attributes")
    if value is None:
        return ()
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _mistyped("attributes")
    return tuple(sorted(value.items()))


def _sources(video: Mapping[str, Any]) -> frozenset[TrackSource]:
    value = video.get("canPublishSources")
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _mistyped("canPublishSources")
    known = {source.value: source for source in TrackSource}
    # A word we do not know must not shrink the list to nothing: an empty list means everything.
    return frozenset(known.get(item.lower(), TrackSource.UNKNOWN) for item in value)


def _mistyped(name: str) -> Refusal:
    return _refusal("token_malformed", f"The token's {name} has the wrong type.")


def _refusal(code: str, sentence: str) -> Refusal:
    return Refusal(code, sentence, status=401)
