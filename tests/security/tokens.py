"""Access tokens made by hand, honest and forged, each of them a canary for the logs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Mint:
    """Signs with one API key, and remembers every word that may appear in no output."""

    api_key: str
    secret: str = field(repr=False)
    canaries: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.canaries.add(self.secret)

    def claims(self, room: str, **video: Any) -> dict[str, Any]:
        """Of somebody new; `video` are grants beside roomJoin and room."""
        someone = secrets.token_hex(6)
        now = int(time.time())
        words = {
            "sub": f"canary-identity-{someone}",
            "name": f"Canary Name {someone}",
            "metadata": f"canary-metadata-{someone}",
        }
        self.canaries |= {room, *words.values()}
        return words | {
            "iss": self.api_key,
            "nbf": now - 5,
            "exp": now + 600,
            "video": {"roomJoin": True, "room": room, **video},
        }

    def token(self, room: str, **video: Any) -> str:
        """An honest one."""
        return self.signed(self.claims(room, **video))

    def signed(self, claims: dict[str, Any], *, secret: str | None = None, alg: str = "") -> str:
        """HS256 unless `alg` says otherwise; "none" leaves the signature empty."""
        body = f"{_part({'alg': alg or 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        key = (self.secret if secret is None else secret).encode()
        tag = b"" if alg == "none" else hmac.digest(key, body.encode(), hashlib.sha256)
        token = f"{body}.{_base64(tag)}"
        self.canaries |= {part for part in token.split(".") if len(part) > 40}
        return token


def _part(value: object) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
