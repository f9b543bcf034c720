"""Nobody steps down, and nothing outside the table happens."""

from __future__ import annotations

import itertools

import pytest

from signaling.domain.people import ParticipantState
from signaling.rooms.lifecycle import TABLE, IllegalStep, Step, advance


@pytest.mark.parametrize(("state", "step"), list(itertools.product(ParticipantState, Step)))
def test_a_step_leads_up_or_raises(state: ParticipantState, step: Step) -> None:
    if (state, step) in TABLE:
        assert advance(state, step) > state
    else:
        with pytest.raises(IllegalStep):
            advance(state, step)
