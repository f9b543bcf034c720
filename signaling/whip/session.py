"""One WHIP or WHEP session: a participant without a socket, held by an HTTP resource.

It begins with an answered offer and ends by DELETE, by the client closing its transport, by the
call (displaced, expired, server stopping, media failed), or because it never connected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from signaling.calls.events import (
    Dismissed,
    Event,
    GoodbyeDue,
    PermissionChanged,
    RosterChanged,
)
from signaling.calls.member import Member
from signaling.domain.allowance import Allowance
from signaling.domain.errors import Refusal
from signaling.domain.people import Departure, Participant, ParticipantState
from signaling.domain.tracks import MediaKind
from signaling.whip.choice import choose
from signaling.whip.door import Created, Endpoint, Resource, Restarted, Wish
from signaling.whip.offer import track_wishes
from signaling.whip.tag import matches

JOIN_SECONDS: Final = 60.0
"""From the answer to a working transport, as long as LiveKit's clients have."""
PATCH_RATE: Final = 5.0
PATCH_BURST: Final = 50.0
"""Fragments per second, and at once: a browser may send one for each of its candidates."""


class Line(Protocol):
    """What a session needs of whoever keeps it."""

    def soon(self, session: Session, step: Callable[[], None]) -> None:
        """Run a step of that session once what is under way is finished."""
        ...

    def over(self, session: Session) -> None:
        """The resource is gone."""
        ...

    def fresh_tag(self) -> str:
        """An entity-tag never used before."""
        ...

    def log(self, event: str, **fields: Any) -> None:
        """One structured event about this session, without names."""
        ...


class Session:
    """The listener of one member. `kinds` are the sections of its offer."""

    def __init__(
        self,
        resource: Resource,
        member: Member,
        kinds: Sequence[MediaKind],
        wish: Wish,
        line: Line,
        now: float,
    ) -> None:
        self.resource = resource
        self.identity = member.grant.identity
        self._member = member
        self._kinds = tuple(kinds)
        self._wish = wish
        self._line = line
        self._tag = line.fresh_tag()
        self._active_by: float | None = now + JOIN_SECONDS
        self._patches = Allowance(rate=PATCH_RATE, burst=PATCH_BURST, now=now)
        self._people: dict[str, Participant] = {}
        self._shown: set[str] = set()
        self._shows = resource.endpoint is Endpoint.WHEP
        self._choosing = False
        self._over = False

    # --- What the client asks for ---------------------------------------------------------------

    def publish(self, offer: str) -> Created:
        """Join and publish what the offer sends. Raises `Refusal`; the caller then abandons."""
        self._member.enter(self)
        for wish in track_wishes(self._kinds, self._wish.source):
            self._member.add_track(wish)
        return self._opened(self._member.answer_offer(offer).sdp)

    def view(self, offer: str) -> Created:
        """Join and show what there is. Raises `Refusal`; the caller then abandons."""
        welcome = self._member.enter(self)
        self._people = {person.sid: person for person in welcome.others}
        known = {track.sid for person in welcome.others for track in person.tracks}
        if not known.issuperset(self._wish.tracks):
            raise Refusal("track_not_found", "There is no such track in the room.", status=404)
        self._choose()
        return self._opened(self._member.answer_offer(offer).sdp)

    def patch(self, if_match: str | None, fragment: str, now: float) -> Restarted | None:
        """Take a fragment (RFC 9725 4.3). Raises `Refusal`: `too_many_patches` (429),
        `precondition_missing` (428), `precondition_failed` (412), and those of
        :meth:`Member.take_fragment`.
        """
        if not self._patches.spend(1, now):
            raise Refusal("too_many_patches", "Fragments come too fast.", status=429)
        if if_match is None:
            raise Refusal("precondition_missing", "If-Match must name the ICE session.", status=428)
        if not matches(if_match, self._tag):
            raise Refusal("precondition_failed", "If-Match names another ICE session.", status=412)
        ours = self._member.take_fragment(fragment)
        if ours is None:
            return None
        self._tag = self._line.fresh_tag()
        return Restarted(self._tag, ours)

    def hang_up(self) -> None:
        """The client is done."""
        self._end(Departure.CLIENT_INITIATED, "client_initiated")

    # --- Time -----------------------------------------------------------------------------------

    def deadline(self, now: float, unix: float) -> float | None:
        """Monotonic seconds at which :meth:`tick` is worth calling next, if ever. `now` and `unix`
        are the same moment on both clocks.
        """
        due = [] if self._active_by is None else [self._active_by]
        if (until := self._member.grant.not_after) is not None:
            due.append(now + until - unix)
        return min(due, default=None)

    def tick(self, now: float) -> None:
        """End what is overdue; harmless at any time."""
        if self._over:
            return
        self._member.tick()
        if self._active_by is not None and now >= self._active_by:
            self._end(Departure.JOIN_FAILURE, "never_connected")

    # --- From the call --------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        match event:
            case Dismissed(_, code):
                self._finish(code)
            case GoodbyeDue():
                self._line.soon(self, self.hang_up)
            case RosterChanged(people):
                self._roster_changed(people)
            case PermissionChanged():
                self._choose_soon()

    def abandon(self) -> None:
        """The session could not begin."""
        self._over = True
        self._member.leave(Departure.JOIN_FAILURE)

    # --------------------------------------------------------------------------------------------

    def _opened(self, sdp: str) -> Created:
        self._line.log(
            "session_opened", participant=self._member.sid, door=self.resource.endpoint.value
        )
        return Created(self.resource, self._tag, sdp)

    def _roster_changed(self, people: Sequence[Participant]) -> None:
        for person in people:
            if person.sid == self._member.sid:
                if person.state is ParticipantState.ACTIVE:
                    self._active_by = None
            elif person.state is ParticipantState.DISCONNECTED:
                self._people.pop(person.sid, None)
            else:
                self._people[person.sid] = person
        self._choose_soon()

    def _choose_soon(self) -> None:
        """The call must not be called while it tells us things."""
        if self._shows and not self._choosing:
            self._choosing = True
            self._line.soon(self, self._choose)

    def _choose(self) -> None:
        self._choosing = False
        if self._over:
            return
        wanted = set(choose(self._people.values(), self._wish, self._kinds).values())
        for track_sid in sorted(self._shown - wanted):
            self._member.subscribe(track_sid, False)
        for track_sid in sorted(wanted - self._shown):
            self._member.subscribe(track_sid, True)
        self._shown = wanted

    def _end(self, departure: Departure, code: str) -> None:
        if not self._over:
            self._member.leave(departure)
            self._finish(code)

    def _finish(self, code: str) -> None:
        if not self._over:
            self._over = True
            self._line.log("session_ended", participant=self._member.sid, code=code)
            self._line.over(self)
