"""Tokens as seats."""

from __future__ import annotations

import base64
import json

from sfu.probe.targets.seats import seats_of


def _token(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


def test_tokens_of_one_person_in_one_room_are_one_seat() -> None:
    first = _token(sub="ann", video={"room": "a"}, exp=1)
    again = _token(sub="ann", video={"room": "a"}, exp=2)
    other = _token(sub="bob", video={"room": "a"})
    elsewhere = _token(sub="ann", video={"room": "b"})
    seats = seats_of([first, again, other, elsewhere])
    assert [(seat.token, seat.room, seat.number) for seat in seats] == [
        (first, "a", 0),
        (other, "a", 1),
        (elsewhere, "b", 2),
    ]


def test_tokens_that_cannot_be_read_are_seats_of_one_room() -> None:
    strange = ["opaque", "a.b", "a.!!!.c", _token(video="x"), "e30.W10.c", "opaque"]
    seats = seats_of(strange)
    assert [seat.token for seat in seats] == strange[:-1]
    assert {seat.room for seat in seats} == {""}


def test_a_seat_does_not_print_its_token() -> None:
    assert "opaque" not in repr(seats_of(["opaque"]))
