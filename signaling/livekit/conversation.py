"""One client's conversation: what it says becomes use cases, what the call tells becomes messages.

Frames and ticks come in, messages go out through the :class:`Line`; there is no socket and no task
here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from livekit.protocol import rtc

from signaling.calls.events import (
    ConnectionsChanged,
    DataDropped,
    Dismissed,
    Event,
    GoodbyeDue,
    NegotiationDue,
    PermissionChanged,
    QualityWanted,
    RosterChanged,
    SpeakersChanged,
    TrackHeard,
    TrackWithheld,
)
from signaling.calls.member import Member
from signaling.domain.errors import Refusal
from signaling.domain.people import Departure, ParticipantState
from signaling.livekit import messages, requests
from signaling.livekit.knock import Offer
from signaling.livekit.latest import Latest
from signaling.livekit.negotiation import OfferTurn, Requirements
from signaling.livekit.session import (
    CHANGES,
    Accepted,
    Fault,
    Phase,
    Session,
    Turn,
    Unserved,
)
from signaling.livekit.tally import Tally
from signaling.ports import TRANSPORT_CLOSED, Clock

SILENT_TAKEOVER = 11
"""Clients above this protocol need no DISCONNECTED for a session that a newer one replaced."""

_update = Latest(messages.update)
_speakers_changed = Latest(messages.speakers_changed)
_connections_changed = Latest(messages.connection_quality)
"""A whole room is told these."""


class Line(Protocol):
    """Where a conversation's words go; every call queues and returns."""

    def send(self, message: rtc.SignalResponse) -> None: ...

    def negotiate_soon(self) -> None:
        """Call :meth:`Conversation.negotiate` once what is under way is finished."""
        ...

    def finished(self) -> None:
        """Nothing more will be said."""
        ...

    def log(self, event: str, **fields: Any) -> None:
        """One structured event about this session, without names."""
        ...


class Conversation:
    """The listener of one member."""

    def __init__(
        self,
        *,
        member: Member,
        dual: bool,
        offer: Offer | None,
        clock: Clock,
        tally: Tally,
        line: Line,
    ) -> None:
        self._member = member
        self._dual = dual
        self._first_offer = offer
        self._clock = clock
        self._tally = tally
        self._line = line
        self._session = Session(dual=dual, now=clock.monotonic())
        self._requirements = Requirements()
        self._turn = OfferTurn()
        self._noted: set[str] = set()

    # --- From outside ---------------------------------------------------------------------------

    def start(self) -> None:
        """Join the room and say so; a refusal at this late hour is told by Leave."""
        try:
            welcome = self._member.enter(self)
        except Refusal as refusal:
            self._tally.refusals[refusal.code] += 1
            self.end(Departure.JOIN_FAILURE, refusal.code, refusal.sentence)
            return
        self._line.send(messages.join(welcome, dual=self._dual))
        self._session.turn(Turn.OPENED)
        self._line.log("session_opened", participant=self._member.sid, dual=self._dual)
        first, self._first_offer = self._first_offer, None
        if first is not None and not self._dual:
            self._answer_offer(first)
        self._line.negotiate_soon()

    def receive(self, frame: bytes | str) -> None:
        """One WebSocket message."""
        match self._session.receive(frame, self._clock.monotonic()):
            case Accepted(kind, request):
                fault = self._within_changes(kind, request)
                if fault is None:
                    self._serve(kind, request)
                else:
                    self._fault(fault)
            case Unserved(kind, request, answer):
                self._unserved(kind, request, answer)
            case Fault() as fault:
                self._fault(fault)

    def negotiate(self) -> None:
        """Offer, or ask for an offer, when one is due."""
        if self._session.phase is not Phase.OPEN or self._member.over:
            return
        if self._dual:
            if self._turn.free and (not self._turn.begun or self._member.needs_negotiation()):
                number = self._turn.offer()
                self._line.send(messages.offer(self._member.next_offer(), number))
            return
        missing = self._member.missing_sections()
        due = self._member.needs_negotiation()
        wanted = self._requirements.next(missing, due, self._clock.monotonic())
        if wanted is not None:
            self._line.send(messages.sections_required(wanted))

    def tick(self) -> None:
        """End what is overdue; harmless at any time."""
        if self._session.phase is Phase.OVER:
            return
        self._member.tick()
        match self._session.overdue(self._clock.monotonic()):
            case Departure.SIGNAL_TIMEOUT as late:
                self.end(late, "signal_timeout", "Nothing was heard for too long.", again=True)
            case Departure.MEDIA_FAILURE as late:
                self.end(late, TRANSPORT_CLOSED, "The client closed the transport.", again=True)
            case None:
                self.negotiate()
            case late:
                self.end(late, "never_connected", "The media connection did not come up.")

    def deadline(self) -> float:
        """Monotonic seconds at which :meth:`tick` is worth calling next."""
        due = [self._session.deadline()]
        if (asked := self._requirements.deadline()) is not None:
            due.append(asked)
        if (until := self._member.grant.not_after) is not None:
            due.append(self._clock.monotonic() + until - self._clock.now())
        if (wanted := self._member.deadline()) is not None:
            due.append(wanted)
        return min(due)

    def end(self, departure: Departure, code: str, sentence: str, *, again: bool = False) -> None:
        """Tell the client why, leave the call, say nothing more; idempotent."""
        if self._session.phase is Phase.OVER:
            return
        self._say_goodbye(departure, code, sentence, again=again)
        self._member.leave(departure)

    def hung_up(self, departure: Departure) -> None:
        """The client is gone, or cannot be told anything."""
        if self._session.phase is not Phase.OVER:
            self._over(departure)
        self._member.leave(departure)

    # --- From the call --------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        match event:
            case Dismissed(departure, code, sentence, again):
                if self._session.phase is not Phase.OVER:
                    self._say_goodbye(departure, code, sentence, again=again)
            case DataDropped(code):
                self._note_once("data_dropped", code)
            case _ if self._session.phase is not Phase.OPEN:
                pass  # the join response carries it
            case RosterChanged():
                self._roster_changed(event)
            case SpeakersChanged(speakers):
                self._line.send(_speakers_changed(speakers))
            case TrackHeard(track_sid):
                self._line.send(messages.track_subscribed(track_sid))
            case QualityWanted():
                self._line.send(messages.quality_wanted(event))
            case PermissionChanged():
                self._line.send(messages.permission_changed(event))
            case TrackWithheld():
                self._line.send(messages.stream_state(event))
            case ConnectionsChanged():
                self._line.send(_connections_changed(event))
            case NegotiationDue():
                self._line.negotiate_soon()
            case GoodbyeDue():
                self._session.expect_goodbye(self._clock.monotonic())

    def _roster_changed(self, event: RosterChanged) -> None:
        people = event.participants
        mine = self._member.participant
        if event.superseded and mine.client.protocol <= SILENT_TAKEOVER:
            people = (*event.superseded, *people)
        self._line.send(_update(people))
        if mine in people and mine.state is ParticipantState.ACTIVE:
            self._session.active()

    # --- Serving --------------------------------------------------------------------------------

    def _serve(self, kind: str, request: rtc.SignalRequest) -> None:
        try:
            _SERVING[kind](self, request)
        except Refusal as refusal:
            self._tally.refusals[refusal.code] += 1
            self._note_once("request_refused", refusal.code)
            request_id = request.update_metadata.request_id
            self._line.send(requests.refused(refusal, request, request_id))

    def _offer(self, request: rtc.SignalRequest) -> None:
        if request.offer.type != "offer":
            self._fault(self._session.illegal("offer"))
            return
        self._answer_offer(Offer(request.offer.sdp, request.offer.id))
        self._line.negotiate_soon()

    def _answer_offer(self, offer: Offer) -> None:
        before = self._member.missing_sections()
        try:
            negotiated = self._member.answer_offer(offer.sdp)
        except Refusal as refusal:
            self._fault(Fault(refusal.code, refusal.sentence, fatal=True))
            return
        self._line.send(messages.answer(negotiated.sdp, offer.id, negotiated.mid_to_track))
        if not self._dual:
            self._requirements.answered(before, self._member.missing_sections())

    def _answer(self, request: rtc.SignalRequest) -> None:
        if request.answer.type != "answer" or not self._turn.accepts(request.answer.id):
            self._fault(self._session.illegal("answer"))
            return
        try:
            self._member.accept_answer(request.answer.sdp)
        except Refusal as refusal:
            self._fault(Fault(refusal.code, refusal.sentence, fatal=True))
            return
        self._turn.answered()
        self._line.negotiate_soon()

    def _add_track(self, request: rtc.SignalRequest) -> None:
        track = self._member.add_track(requests.track_wish(request.add_track))
        self._line.send(messages.track_published(track.wish.cid, track))

    def _mute(self, request: rtc.SignalRequest) -> None:
        self._member.set_muted(request.mute.sid, request.mute.muted)

    def _subscription(self, request: rtc.SignalRequest) -> None:
        for track_sid in requests.subscription(request.subscription):
            if not self._member.subscribe(track_sid, request.subscription.subscribe):
                self._line.send(messages.subscription_failed(track_sid))

    def _track_setting(self, request: rtc.SignalRequest) -> None:
        track_sids, setting = requests.track_setting(request.track_setting)
        for track_sid in track_sids:
            self._member.view(track_sid, setting)

    def _leave(self, request: rtc.SignalRequest) -> None:
        self.hung_up(Departure.CLIENT_INITIATED)

    def _subscription_permission(self, request: rtc.SignalRequest) -> None:
        self._member.permit(requests.permission(request.subscription_permission))

    def _ping(self, request: rtc.SignalRequest) -> None:
        self._line.send(messages.pong(self._milliseconds()))

    def _ping_request(self, request: rtc.SignalRequest) -> None:
        answer = messages.pong_response(request.ping_req.timestamp, self._milliseconds())
        self._line.send(answer)

    def _update_metadata(self, request: rtc.SignalRequest) -> None:
        wish = request.update_metadata
        self._member.revise(
            name=wish.name or None,
            metadata=wish.metadata or None,
            attributes=tuple(wish.attributes.items()),
        )
        self._line.send(requests.done(request, wish.request_id))

    def _update_audio_track(self, request: rtc.SignalRequest) -> None:
        wish = request.update_audio_track
        self._member.describe_audio(wish.track_sid, requests.audio_features(wish.features))

    def _update_video_track(self, request: rtc.SignalRequest) -> None:
        wish = request.update_video_track
        self._member.describe_video(wish.track_sid, wish.width, wish.height)

    def _within_changes(self, kind: str, request: rtc.SignalRequest) -> Fault | None:
        if kind not in CHANGES:
            return None
        words = request.ByteSize() + self._member.participant.words
        return self._session.change(words, self._clock.monotonic())

    # --- Refusing -------------------------------------------------------------------------------

    def _unserved(self, kind: str, request: rtc.SignalRequest, answer: bool) -> None:
        self._tally.unserved[kind] += 1
        self._note_once("message_unserved", kind)
        if not answer:
            return
        request_id = 0
        if kind == "store_data_blob_request":
            request_id = request.store_data_blob_request.request_id
        elif kind == "get_data_blob_request":
            request_id = request.get_data_blob_request.request_id
        refusal = Refusal("not_served", "This server does not serve that.")
        self._line.send(requests.refused(refusal, request, request_id))

    def _fault(self, fault: Fault) -> None:
        self._tally.faults[fault.code] += 1
        self._note_once("session_fault", fault.code)
        if fault.fatal:
            self.end(Departure.PROTOCOL_FAULT, fault.code, fault.sentence)
        else:
            refusal = Refusal(fault.code, fault.sentence)
            self._line.send(requests.refused(refusal, rtc.SignalRequest()))

    def _note_once(self, event: str, code: str) -> None:
        word = f"{event}:{code}"
        if word not in self._noted:
            self._noted.add(word)
            self._line.log(event, participant=self._member.sid, code=code)

    def _say_goodbye(self, departure: Departure, code: str, sentence: str, *, again: bool) -> None:
        # Leave has room for a reason only; the sentence goes ahead of it. As a first message it
        # would hide the Leave from the client.
        explained = departure in (Departure.PROTOCOL_FAULT, Departure.JOIN_FAILURE)
        if explained and self._session.phase is Phase.OPEN:
            refusal = Refusal(code, sentence)
            self._line.send(requests.refused(refusal, rtc.SignalRequest()))
        self._line.send(messages.leave(departure, again=again))
        self._line.log("session_ended", participant=self._member.sid, code=code)
        self._over(departure)

    def _over(self, departure: Departure) -> None:
        self._tally.departures[departure.value] += 1
        self._session.turn(Turn.ENDED)
        self._line.finished()

    def _milliseconds(self) -> int:
        return int(self._clock.now() * 1000)


_SERVING: Final[dict[str, Callable[[Conversation, rtc.SignalRequest], None]]] = {
    "offer": Conversation._offer,
    "answer": Conversation._answer,
    "add_track": Conversation._add_track,
    "mute": Conversation._mute,
    "subscription": Conversation._subscription,
    "track_setting": Conversation._track_setting,
    "leave": Conversation._leave,
    "subscription_permission": Conversation._subscription_permission,
    "ping": Conversation._ping,
    "ping_req": Conversation._ping_request,
    "update_metadata": Conversation._update_metadata,
    "update_audio_track": Conversation._update_audio_track,
    "update_video_track": Conversation._update_video_track,
}
