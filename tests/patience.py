"""How long a test waits for something that must come about.

No test asserts how fast anything is: machines differ, and busy ones are slow. A wait that is this
long fails only where the thing never happens.
"""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 90.0
"""Seconds. Below the time that a whole test may take, so that the wait says what it waited for."""
