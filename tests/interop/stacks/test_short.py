"""The short slice of the matrix that every `make test` runs."""

from __future__ import annotations

from tests.interop.stacks.calls import call
from tests.interop.stacks.catalogue import named


async def test_what_pion_sends_werift_recognises_under_the_strict_policy() -> None:
    await call("strict", named("pion"), named("werift"))
