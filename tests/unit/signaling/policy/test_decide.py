"""The policy: what it grants, and every reason it has against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signaling.domain.grants import Claims, TrackSource
from signaling.policy.decide import Allowed, Denied, Request, Terms, decide
from tests.unit.signaling.fakes import claims

NOW = 1_700_000_000.0


def codes(decision: Allowed | Denied) -> list[str]:
    assert isinstance(decision, Denied)
    return [reason.code for reason in decision.reasons]


def test_a_grant_says_what_the_token_says() -> None:
    asked = claims(can_publish=False, hidden=True, agent=True)
    decision = decide(asked, Request(), NOW)
    assert isinstance(decision, Allowed)
    grant = decision.grant
    assert (grant.identity, grant.room) == ("ada", "garden")
    assert not grant.can_publish
    assert grant.can_subscribe
    assert grant.hidden
    assert grant.agent


def test_a_call_outlives_its_join_token_unless_the_terms_say_otherwise() -> None:
    decision = decide(claims(), Request(), NOW)
    assert isinstance(decision, Allowed)
    assert decision.grant.not_after is None
    decision = decide(claims(), Request(), NOW, Terms(grant_lifetime=60.0))
    assert isinstance(decision, Allowed)
    assert decision.grant.not_after == NOW + 60.0


def test_every_reason_is_given_and_the_first_one_answers() -> None:
    asked = replace(claims(identity="", room="x" * 257), not_after=NOW - 100, room_join=False)
    decision = decide(asked, Request(), NOW)
    assert codes(decision) == [
        "token_expired",
        "token_no_join",
        "identity_missing",
        "room_too_long",
    ]
    assert isinstance(decision, Denied)
    refusal = decision.refusal()
    assert (refusal.code, refusal.status) == ("token_expired", 401)
    assert "expired" in refusal.sentence
    assert "identity" in refusal.sentence


def test_a_token_for_one_room_does_not_open_another() -> None:
    assert codes(decide(claims(), Request(room="cellar"), NOW)) == ["room_mismatch"]
    assert isinstance(decide(claims(), Request(room="garden"), NOW), Allowed)


def test_clocks_may_differ_by_a_minute_and_no_more() -> None:
    asked = replace(claims(), not_before=NOW + 59, not_after=NOW - 59)
    assert isinstance(decide(asked, Request(), NOW), Allowed)
    asked = replace(claims(), not_before=NOW + 61, not_after=NOW - 61)
    assert codes(decide(asked, Request(), NOW)) == ["token_expired", "token_not_yet"]


NAN = float("nan")


@pytest.mark.parametrize(
    "asked", [replace(claims(), not_before=NAN), replace(claims(), not_after=NAN)]
)
def test_a_time_that_is_no_number_denies(asked: Claims) -> None:
    assert isinstance(decide(asked, Request(), NOW), Denied)


def test_words_about_oneself_are_capped() -> None:
    assert codes(decide(claims(name="n" * 257), Request(), NOW)) == ["name_too_long"]
    big = claims(metadata="ü" * (256 * 1024 + 1))
    assert codes(decide(big, Request(), NOW)) == ["metadata_too_long"]


def test_listed_sources_are_the_only_ones() -> None:
    asked = claims(can_publish_sources=frozenset({TrackSource.MICROPHONE}))
    decision = decide(asked, Request(), NOW)
    assert isinstance(decision, Allowed)
    assert decision.grant.may_publish(TrackSource.MICROPHONE)
    assert not decision.grant.may_publish(TrackSource.SCREEN_SHARE)
    assert not decision.grant.may_publish(TrackSource.UNKNOWN)
