"""Somebody in Janus' video room, with the page beside this file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from bench.impair.networks import Place
from bench.impair.people import Brings, Person, Site, chromium
from bench.versus.janus.server import PORT

PAGE: Final = Path(__file__).parent / "room.html"
ROOM: Final = 1  # as the configuration says

SITE: Final = Site(
    in_the_call="() => window.inTheCall()",
    shared_screen='[data-testid="screens"] video',
    share="share",
    is_sharing='[data-sharing="true"]',
)
_JOINED: Final = "() => document.body.dataset.failed ?? document.body.dataset.joined"


@asynccontextmanager
async def janus_person(
    name: str, place: Place, brings: Brings, window: tuple[int, int], patience: float
) -> AsyncIterator[Person]:
    """Somebody who has joined within `patience` seconds. Raises DriverError, RuntimeError."""
    wish = {
        "server": f"ws://{place.address}:{PORT}",
        "room": ROOM,
        "name": name,
        "camera": brings == "camera",
        "microphone": brings != "nothing",
    }
    url = f"{PAGE.as_uri()}#{quote(json.dumps(wish))}"
    async with chromium(place, url, brings, window) as (browser, page):
        if (said := await page.wait_for(_JOINED, timeout=patience)) != "true":
            raise RuntimeError(f"Janus' room was not joined: {said}")
        yield Person(browser, page, SITE)
