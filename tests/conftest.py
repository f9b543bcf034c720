"""What may run beside what, when `make test` uses two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent
# Real clients in real time: a second one beside them would take the core that they need.
_CALLS: Final = frozenset({"bench", "browser", "faults", "interop", "security"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Calls run one after another; the rest, which waits more than it works, beside them."""
    for item in items:
        path = item.path.relative_to(TESTS)
        group = "calls" if path.parts[0] in _CALLS else path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
