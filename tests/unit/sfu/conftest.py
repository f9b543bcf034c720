"""What many tests of the media plane stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.sfu.fake_relay import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A media plane of one worker, on a fake relay."""
    stage = Stage()
    await stage.plane.start()
    yield stage
    await stage.plane.close()
