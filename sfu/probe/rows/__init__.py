"""Every row there is, in the order of the report."""

from __future__ import annotations

from typing import Final

from sfu.probe.row import Row
from sfu.probe.rows import (
    addresses,
    baseline,
    certificates,
    crafted,
    fingerprints,
    groups,
    loss,
    media,
    odd_hellos,
    profiles,
    renegotiation,
    sessions,
    signalling_tls,
    signatures,
    suites,
    versions,
)

ROWS: Final[tuple[Row, ...]] = (
    *baseline.ROWS,
    *versions.ROWS,
    *suites.ROWS,
    *groups.ROWS,
    *signatures.ROWS,
    *certificates.ROWS,
    *fingerprints.ROWS,
    *sessions.ROWS,
    *addresses.ROWS,
    *loss.ROWS,
    *profiles.ROWS,
    *crafted.ROWS,
    *odd_hellos.ROWS,
    *renegotiation.ROWS,
    *signalling_tls.ROWS,
    *media.ROWS,
)
