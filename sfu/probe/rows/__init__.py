"""Every row there is, in the order of the report."""

from __future__ import annotations

from typing import Final

from sfu.probe.row import Row
from sfu.probe.rows import baseline

ROWS: Final[tuple[Row, ...]] = (*baseline.ROWS,)
