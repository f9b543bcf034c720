"""The one place that decides who may do what.

    decide(claims, request, now, terms) -> Allowed(grant) | Denied(reasons)

It collects every reason against, never only the first, and each has a stable code. It gives no
more than the claims ask for. Comparisons are written so that a nonsense value (a NaN time) denies,
and an exception leaves the caller without a grant.
"""

from __future__ import annotations

from dataclasses import dataclass

from signaling.domain.errors import Refusal
from signaling.domain.grants import Claims, Grant
from signaling.domain.limits import MAX_NAME, check_profile

LEEWAY = 60.0
"""Seconds by which clocks may differ, as LiveKit's verifier has it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator adds to the tokens.

    `grant_lifetime`: seconds after the join at which a participant is told to go and the relay
    stops forwarding; None lets a call outlive its join token, as LiveKit does.
    """

    grant_lifetime: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What the client asks for besides the token; an empty `room` means the token's."""

    room: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not: a stable code, a sentence for a person, the HTTP status it is answered with."""

    code: str
    sentence: str
    status: int


@dataclass(frozen=True, slots=True)
class Allowed:
    grant: Grant


@dataclass(frozen=True, slots=True)
class Denied:
    reasons: tuple[Reason, ...]

    def refusal(self) -> Refusal:
        """As one error: the first code and status, every sentence."""
        first = self.reasons[0]
        sentence = " ".join(reason.sentence for reason in self.reasons)
        return Refusal(first.code, sentence, status=first.status)


def decide(
    claims: Claims, request: Request, now: float, terms: Terms | None = None
) -> Allowed | Denied:
    """Grant or refuse a join at Unix time `now`."""
    terms = terms or Terms()
    reasons = (*_standing(claims, now), *_place(claims, request), *_profile(claims))
    if reasons:
        return Denied(reasons)
    lifetime = terms.grant_lifetime
    return Allowed(
        Grant(
            identity=claims.identity,
            room=claims.room,
            not_after=None if lifetime is None else now + lifetime,
            can_publish=claims.can_publish,
            can_subscribe=claims.can_subscribe,
            can_publish_data=claims.can_publish_data,
            can_publish_sources=claims.can_publish_sources,
            can_update_own_metadata=claims.can_update_own_metadata,
            hidden=claims.hidden,
            kind=claims.kind,
            recorder=claims.recorder,
            agent=claims.agent,
        )
    )


def _standing(claims: Claims, now: float) -> tuple[Reason, ...]:
    reasons = []
    if not claims.not_after + LEEWAY > now:
        reasons.append(Reason("token_expired", "The token has expired.", 401))
    if claims.not_before is not None and not claims.not_before - LEEWAY <= now:
        reasons.append(Reason("token_not_yet", "The token is not valid yet.", 401))
    if not claims.room_join:
        reasons.append(Reason("token_no_join", "The token does not allow joining a room.", 401))
    return tuple(reasons)


def _place(claims: Claims, request: Request) -> tuple[Reason, ...]:
    reasons = []
    if not claims.identity:
        reasons.append(Reason("identity_missing", "The token names no identity.", 400))
    elif len(claims.identity) > MAX_NAME:
        reasons.append(
            Reason("identity_too_long", f"An identity has at most {MAX_NAME} characters.", 400)
        )
    if not claims.room:
        reasons.append(Reason("room_missing", "The token names no room.", 400))
    elif len(claims.room) > MAX_NAME:
        reasons.append(
            Reason("room_too_long", f"A room's name has at most {MAX_NAME} characters.", 400)
        )
    if request.room and request.room != claims.room:
        reasons.append(Reason("room_mismatch", "The token is for another room.", 401))
    return tuple(reasons)


def _profile(claims: Claims) -> tuple[Reason, ...]:
    try:
        check_profile(claims.name, claims.metadata, claims.attributes)
    except Refusal as refusal:
        return (Reason(refusal.code, refusal.sentence, 400),)
    return ()
