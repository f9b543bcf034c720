"""The door's one implementation: who may come in, and the sessions that are held."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from signaling.calls.calls import Calls
from signaling.calls.joining import JoinRequest
from signaling.domain.errors import Refusal
from signaling.domain.grants import Claims, Grant
from signaling.ports import Authenticator, Clock, Entropy, PeerRole
from signaling.whip.door import Created, Endpoint, Resource, Restarted, Wish
from signaling.whip.offer import check_offer
from signaling.whip.session import Session

SESSION_BYTES: Final = 16
"""Of entropy in a session's path: who has no token cannot guess even where to ask."""
TAG_BYTES: Final = 8
_WATCH_SECONDS: Final = 5.0

_ROLES: Final = {Endpoint.WHIP: PeerRole.PUBLISHER, Endpoint.WHEP: PeerRole.VIEWER}
# What WebRTC's refusals are in HTTP, where it is not 400.
_STATUSES: Final = {
    "publish_not_allowed": 403,
    "source_not_allowed": 403,
    "sdp_too_large": 413,
    "sdp_too_many_sections": 422,
    "sdp_no_ice": 422,
    "sdp_no_fingerprint": 422,
    "sdp_weak_fingerprint": 422,
    "sdp_bundle": 422,
    "sdp_setup": 422,
    "ice_restart_unsupported": 422,
    "not_in_call": 404,
}

_log = structlog.get_logger("signaling.whip")


class WhipDoor:
    """Implements `ResourceDoor`."""

    def __init__(
        self, *, calls: Calls, authenticator: Authenticator, clock: Clock, entropy: Entropy
    ) -> None:
        self._calls = calls
        self._authenticator = authenticator
        self._clock = clock
        self._entropy = entropy
        self._sessions: dict[Resource, Session] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._shut = False

    def admit(self, endpoint: Endpoint, room: str, token: str) -> None:
        """Raises `Refusal`: `server_stopping`, what the authenticator and `Calls.check` raise,
        `room_mismatch` (403), `publish_not_allowed` and `subscribe_not_allowed` (403).
        """
        self._check(endpoint, room, token)

    def create(self, endpoint: Endpoint, room: str, token: str, offer: str, wish: Wish) -> Created:
        """Raises the `Refusal` of :meth:`admit`, `check_offer`, `Media.read_offer`,
        `Calls.prepare`, and of the session's beginning.
        """
        claims = self._check(endpoint, room, token)
        try:
            kinds = check_offer(endpoint, self._calls.media.read_offer(offer))
            request = JoinRequest(room=room, auto_subscribe=False, only=_ROLES[endpoint])
            member = self._calls.prepare(claims, request)
            resource = Resource(endpoint, room, self._word(SESSION_BYTES))
            session = Session(resource, member, kinds, wish, self, self._clock.monotonic())
            return self._begin(session, offer)
        except Refusal as refusal:
            raise _with_status(refusal) from None

    def admit_to(self, resource: Resource, token: str) -> None:
        """Raises `Refusal`: what the authenticator raises, `session_not_found` (404),
        `not_your_session` (403).
        """
        self._session(resource, token)

    def patch(
        self, resource: Resource, token: str, if_match: str | None, fragment: str
    ) -> Restarted | None:
        """Raises the `Refusal` of :meth:`admit_to` and of :meth:`Session.patch`."""
        session = self._session(resource, token)
        try:
            return session.patch(if_match, fragment, self._clock.monotonic())
        except Refusal as refusal:
            raise _with_status(refusal) from None

    def delete(self, resource: Resource, token: str) -> None:
        """Raises the `Refusal` of :meth:`admit_to`."""
        self._session(resource, token).hang_up()

    def shut(self) -> None:
        """Let nobody in any more; who is in is dismissed with everybody else's calls."""
        self._shut = True

    def counts(self) -> Counter[str]:
        """Sessions held, by endpoint."""
        return Counter(resource.endpoint.value for resource in self._sessions)

    def tick(self) -> None:
        """End what is overdue; harmless at any time."""
        now = self._clock.monotonic()
        for session in list(self._sessions.values()):
            self._guarded(session, partial(session.tick, now))

    # --- The sessions' line ---------------------------------------------------------------------

    def soon(self, session: Session, step: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(self._guarded, session, step)

    def over(self, session: Session) -> None:
        self._sessions.pop(session.resource, None)

    def fresh_tag(self) -> str:
        return self._word(TAG_BYTES)

    def log(self, event: str, **fields: Any) -> None:
        _log.info(event, **fields)

    # --------------------------------------------------------------------------------------------

    def _check(self, endpoint: Endpoint, room: str, token: str) -> Claims:
        if self._shut:
            raise Refusal("server_stopping", "The server is stopping.", status=503)
        claims = self._authenticator.authenticate(token, self._clock.now())
        if claims.room != room:
            raise Refusal("room_mismatch", "The token is for another room.", status=403)
        _check_grant(endpoint, self._calls.check(claims, JoinRequest(room=room)))
        return claims

    def _begin(self, session: Session, offer: str) -> Created:
        self._sessions[session.resource] = session
        begun = False
        try:
            whip = session.resource.endpoint is Endpoint.WHIP
            created = session.publish(offer) if whip else session.view(offer)
            begun = True
        finally:
            if not begun:
                self.over(session)
                session.abandon()
        self._watch()
        return created

    def _session(self, resource: Resource, token: str) -> Session:
        claims = self._authenticator.authenticate(token, self._clock.now())
        session = self._sessions.get(resource)
        if session is None:
            raise Refusal("session_not_found", "There is no such session.", status=404)
        if (claims.room, claims.identity) != (resource.room, session.identity):
            raise Refusal("not_your_session", "The session is somebody else's.", status=403)
        return session

    def _watch(self) -> None:
        """Look at the sessions when the next of them is due."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._sessions:
            return
        now, unix = self._clock.monotonic(), self._clock.now()
        deadlines = [session.deadline(now, unix) for session in self._sessions.values()]
        wait = min((due - now for due in deadlines if due is not None), default=_WATCH_SECONDS)
        delay = min(max(wait, 0.01), _WATCH_SECONDS)
        self._alarm = asyncio.get_running_loop().call_later(delay, self._alarmed)

    def _alarmed(self) -> None:
        self._alarm = None
        self.tick()
        self._watch()

    def _guarded(self, session: Session, step: Callable[[], None]) -> None:
        """Our bug ends one session, not the others."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the outermost loop of a session
            self.log("session_failed", error=type(error).__name__)
            self.over(session)
            session.abandon()

    def _word(self, size: int) -> str:
        return base64.urlsafe_b64encode(self._entropy.token(size)).rstrip(b"=").decode()


def _check_grant(endpoint: Endpoint, grant: Grant) -> None:
    if endpoint is Endpoint.WHIP and not grant.can_publish:
        raise Refusal("publish_not_allowed", "The token does not allow publishing.", status=403)
    if endpoint is Endpoint.WHEP and not grant.can_subscribe:
        raise Refusal("subscribe_not_allowed", "The token does not allow subscribing.", status=403)


def _with_status(refusal: Refusal) -> Refusal:
    status = _STATUSES.get(refusal.code, refusal.status)
    return Refusal(refusal.code, refusal.sentence, status=status)
