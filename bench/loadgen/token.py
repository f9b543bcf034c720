"""LiveKit access tokens: a JWT signed with HS256 (RFC 7519), made here by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time


def access_token(key: str, secret: str, room: str, identity: str, lifetime: int = 3600) -> str:
    """A token that lets `identity` join `room`, publish and subscribe, for `lifetime` seconds."""
    now = int(time.time())
    claims = {
        "iss": key,
        "sub": identity,
        "nbf": now - 5,
        "exp": now + lifetime,
        "video": {"roomJoin": True, "room": room},
    }
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    tag = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(tag)}"


def _part(value: object) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
