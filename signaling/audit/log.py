"""The audit trail as structured log events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class LogAudit:
    """`ports.Audit` over the log: one event per decision, under its own logger.

    `write` is called with the event and its fields, and has written them when it returns.
    """

    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write

    def record(self, event: str, **fields: Any) -> None:
        """Write one event; fields named like secrets or people are refused by the log's gate."""
        self._write(event, **fields)
