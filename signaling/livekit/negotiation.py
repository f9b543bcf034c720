"""Whose turn it is to offer. Pure; times are monotonic seconds.

With one peer connection the client always offers; we can only ask it to, and say how many
receive-only sections it should add. With two we offer on the subscriber's, one offer at a time.
"""

from __future__ import annotations

from signaling.ports import Sections

PATIENCE = 5.0
"""Seconds after which an asked-for offer is asked for again."""


class Requirements:
    """Asking the client of one peer connection for an offer, once at a time.

    An offer that was already on its way when we asked looks like an answer to us and brings none of
    the sections. Asking again at once would get them twice, so one such offer is let pass.
    """

    def __init__(self) -> None:
        self._answered = False
        self._asked_at: float | None = None
        self._asked_sections = 0
        self._crossed = False

    def next(self, missing: Sections, due: bool, now: float) -> Sections | None:
        """What to ask for now, if anything."""
        if not self._answered or not (due or missing.audio or missing.video):
            return None
        if self._asked_at is not None and now < self._asked_at + PATIENCE:
            return None
        self._asked_at = now
        self._asked_sections = missing.audio + missing.video
        self._crossed = False
        return missing

    def answered(self, before: Sections, after: Sections) -> None:
        """An offer was answered; `before` and `after` are what was missing around it."""
        self._answered = True
        if self._asked_at is None:
            return
        lacked, lacks = before.audio + before.video, after.audio + after.video
        satisfied = self._asked_sections == 0 or lacked == 0 or lacks < lacked
        if satisfied or self._crossed:
            self._asked_at = None
        else:
            self._crossed = True

    def deadline(self) -> float | None:
        """When to ask again at the latest."""
        return None if self._asked_at is None else self._asked_at + PATIENCE


class OfferTurn:
    """Our offers on the subscriber transport: numbered from 1, one unanswered at a time."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting = False

    @property
    def free(self) -> bool:
        return not self._waiting

    @property
    def begun(self) -> bool:
        return self._number > 0

    def offer(self) -> int:
        """The number of the offer about to be sent."""
        if self._waiting:
            raise RuntimeError("the last offer is unanswered")
        self._waiting = True
        self._number += 1
        return self._number

    def accepts(self, number: int) -> bool:
        """Whether an answer with that number is the one awaited; Rust clients always say 0."""
        return self._waiting and number in (0, self._number)

    def answered(self) -> None:
        self._waiting = False
