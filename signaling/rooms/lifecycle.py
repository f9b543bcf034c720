"""A participant's life as a table.

    JOINING --welcomed--> JOINED --connected--> ACTIVE
       \\---------------------+--------------------+---left--> DISCONNECTED

`welcomed`: the join response is on its way. `connected`: the primary transport is up. Whatever is
not in the table is a mistake of ours and raises.
"""

from __future__ import annotations

import enum

from signaling.domain.people import ParticipantState as State


class Step(enum.StrEnum):
    WELCOMED = "welcomed"
    CONNECTED = "connected"
    LEFT = "left"


class IllegalStep(Exception):
    """The participant's state does not allow that step."""


TABLE: dict[tuple[State, Step], State] = {
    (State.JOINING, Step.WELCOMED): State.JOINED,
    (State.JOINED, Step.CONNECTED): State.ACTIVE,
    (State.JOINING, Step.LEFT): State.DISCONNECTED,
    (State.JOINED, Step.LEFT): State.DISCONNECTED,
    (State.ACTIVE, Step.LEFT): State.DISCONNECTED,
}


def advance(state: State, step: Step) -> State:
    """The next state. Raises `IllegalStep`."""
    try:
        return TABLE[state, step]
    except KeyError:
        raise IllegalStep(f"{step} while {state.name}") from None
