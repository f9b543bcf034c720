"""Every row there is, in the order of the report."""

from __future__ import annotations

from typing import Final

from sfu.probe.row import Row
from sfu.probe.rows import baseline, crafted, odd_hellos, renegotiation, signalling_tls

ROWS: Final[tuple[Row, ...]] = (
    *baseline.ROWS,
    *crafted.ROWS,
    *odd_hellos.ROWS,
    *renegotiation.ROWS,
    *signalling_tls.ROWS,
)
