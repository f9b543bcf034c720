"""Whose turn it is to offer."""

from __future__ import annotations

import pytest

from signaling.livekit.negotiation import PATIENCE, OfferTurn, Requirements
from signaling.ports import Sections

NONE = Sections()


def after_first_answer() -> Requirements:
    requirements = Requirements()
    requirements.answered(NONE, NONE)
    return requirements


def test_nothing_is_asked_before_the_first_answer() -> None:
    assert Requirements().next(Sections(audio=1), True, 0.0) is None
    assert after_first_answer().next(Sections(audio=1), True, 0.0) == Sections(audio=1)


def test_nought_and_nought_asks_for_a_plain_offer() -> None:
    assert after_first_answer().next(NONE, True, 0.0) == NONE
    assert after_first_answer().next(NONE, False, 0.0) is None


def test_one_request_is_out_at_a_time() -> None:
    requirements = after_first_answer()
    requirements.next(Sections(audio=1), True, 0.0)
    assert requirements.next(Sections(audio=2), True, 1.0) is None
    requirements.answered(Sections(audio=2), Sections(audio=1))
    assert requirements.next(Sections(audio=1), True, 1.0) == Sections(audio=1)


def test_an_offer_that_crossed_ours_does_not_make_us_ask_twice() -> None:
    requirements = after_first_answer()
    requirements.next(Sections(video=1), True, 0.0)
    requirements.answered(Sections(video=1), Sections(video=1))
    assert requirements.next(Sections(video=1), True, 0.1) is None
    requirements.answered(Sections(video=1), Sections(video=1))
    assert requirements.next(Sections(video=1), True, 0.2) == Sections(video=1)


def test_a_client_that_does_not_offer_is_asked_again_after_a_while() -> None:
    requirements = after_first_answer()
    requirements.next(Sections(audio=1), True, 0.0)
    assert requirements.deadline() == PATIENCE
    assert requirements.next(Sections(audio=1), True, PATIENCE) == Sections(audio=1)


def test_our_own_offers_wait_for_their_answers() -> None:
    turn = OfferTurn()
    assert turn.free
    assert not turn.begun
    assert turn.offer() == 1
    with pytest.raises(RuntimeError):
        turn.offer()
    assert turn.accepts(1)
    assert turn.accepts(0)  # Rust clients always say nought
    assert not turn.accepts(2)
    turn.answered()
    assert not turn.accepts(1)
    assert turn.offer() == 2


def test_any_offer_will_do_when_no_section_was_asked_for() -> None:
    requirements = after_first_answer()
    requirements.next(NONE, True, 0.0)
    requirements.answered(Sections(audio=1), Sections(audio=1))  # wanted in the meantime
    assert requirements.next(Sections(audio=1), True, 0.1) == Sections(audio=1)
