"""The page: built files, served with a strict content policy, or how to build them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_HASHED: Final = "assets/"  # Vite puts a hash of the content into these names

_MISSING: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Conclave</title>
<body style="font:16px/1.5 system-ui;max-width:36rem;margin:4rem auto;padding:0 1rem">
<h1>The server runs; its page is not built</h1>
<p>LiveKit clients can connect already. To build the page, with Node 20 or later:</p>
<pre>cd signaling/web
npm ci
npm run build</pre><p>Then reload. <code>make run</code> does all of this by itself.</p>
</body></html>
"""


class Page(StaticFiles):
    """The files below `dist`, looked up at each request so that a fresh build is seen."""

    def __init__(self, dist: Path) -> None:
        super().__init__(directory=dist, html=True, check_dir=False)
        self._index = dist / "index.html"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file; hashed names may be kept for ever, all others are asked for again."""
        if path in ("", ".", "index.html") and not self._index.is_file():
            return HTMLResponse(_MISSING, 200, {"Cache-Control": "no-store"})
        response = await super().get_response(path, scope)
        hashed = path.replace(os.sep, "/").startswith(_HASHED) and response.status_code == 200
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if hashed else "no-cache"
        )
        return response

    async def check_config(self) -> None:
        """Nothing to check: the folder may appear later."""


def page_headers(*, development: bool, secure: bool) -> list[tuple[bytes, bytes]]:
    """The headers of every HTTP answer of this server."""
    socket = "wss:" if secure else "ws: wss:"
    policy = "; ".join(
        (
            "default-src 'self'",
            f"connect-src 'self' {socket}",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "style-src 'self' 'unsafe-inline'",  # components-react sets style attributes
            "worker-src 'self' blob:",
            "object-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )
    headers = [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", "camera=(self), microphone=(self), display-capture=(self)"),
        ("cross-origin-opener-policy", "same-origin"),
    ]
    if secure and not development:
        headers.append(("strict-transport-security", "max-age=31536000"))
    return [(name.encode(), value.encode()) for name, value in headers]
