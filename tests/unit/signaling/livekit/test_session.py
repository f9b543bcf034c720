"""The session machine: what may come when, what is overdue. Time is an argument."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import rtc

from signaling.domain.people import Departure
from signaling.livekit import session as machine
from signaling.livekit.session import Accepted, Fault, Phase, Session, Turn, Unserved


def opened(*, dual: bool = False) -> Session:
    session = Session(dual=dual, now=0.0)
    session.turn(Turn.OPENED)
    return session


def frame(**message: object) -> bytes:
    return rtc.SignalRequest(**message).SerializeToString()  # type: ignore[arg-type]


def test_every_message_of_the_protocol_has_a_treatment() -> None:
    known = {f.name for f in rtc.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields}
    assert set(machine.TREATMENTS) == known


@pytest.mark.parametrize(("phase", "turn"), list(itertools.product(Phase, Turn)))
def test_phases_only_go_forward(phase: Phase, turn: Turn) -> None:
    session = Session(dual=False, now=0.0)
    session._phase = phase
    if (phase, turn) in machine.PHASES:
        session.turn(turn)
        assert session.phase is machine.PHASES[phase, turn]
    else:
        with pytest.raises(machine.IllegalTurn):
            session.turn(turn)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{}", "text_frame"),
        (b"\xff\xff\xff", "frame_malformed"),
        (bytes(machine.MAX_FRAME + 1), "frame_too_large"),
    ],
)
def test_a_frame_that_cannot_be_meant_ends_the_session(sent: bytes | str, code: str) -> None:
    fault = opened().receive(sent, 1.0)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.fatal) == (code, True)


def test_an_answer_is_legal_only_where_we_offer() -> None:
    said = frame(answer=rtc.SessionDescription(type="answer", sdp="v=0"))
    assert isinstance(opened(dual=True).receive(said, 1.0), Accepted)
    fault = opened().receive(said, 1.0)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.fatal) == ("message_illegal_now", False)


def test_mistakes_are_forgiven_only_so_often() -> None:
    session = opened()
    said = frame(sync_state=rtc.SyncState())
    faults = [session.receive(said, 1.0) for _ in range(machine.MAX_FAULTS + 1)]
    assert all(isinstance(fault, Fault) and not fault.fatal for fault in faults[:-1])
    assert isinstance(faults[-1], Fault)
    assert faults[-1].fatal


def test_a_flood_ends_the_session_and_a_steady_stream_does_not() -> None:
    steady = opened()
    for tick in range(10_000):
        assert isinstance(steady.receive(frame(ping=1), tick / machine.RATE), Accepted)
    flood = opened()
    outcomes = [flood.receive(frame(ping=1), 1.0) for _ in range(int(machine.BURST) + 1)]
    assert isinstance(outcomes[-2], Accepted)
    assert isinstance(outcomes[-1], Fault)
    assert outcomes[-1].code == "too_many_messages"


def described(sdp: str = "v=0") -> bytes:
    return frame(offer=rtc.SessionDescription(type="offer", sdp=sdp))


def test_offers_that_come_too_fast_end_the_session_and_steady_ones_do_not() -> None:
    steady = opened()
    for tick in range(500):
        outcome = steady.receive(described(), tick / machine.DESCRIPTIONS_RATE)
        assert isinstance(outcome, Accepted)
    flood = opened()
    outcomes = [flood.receive(described(), 1.0) for _ in range(21)]
    assert isinstance(outcomes[-2], Accepted)
    assert isinstance(outcomes[-1], Fault)
    assert (outcomes[-1].code, outcomes[-1].fatal) == ("too_many_descriptions", True)


def test_too_many_bytes_in_a_short_time_end_the_session() -> None:
    session = opened()
    large = described("v" * (machine.MAX_FRAME - 64))
    outcomes = [session.receive(large, float(second)) for second in range(20)]
    codes = [outcome.code for outcome in outcomes if isinstance(outcome, Fault)]
    assert set(codes) == {"too_many_bytes"}
    assert isinstance(outcomes[7], Accepted)  # the burst
    assert isinstance(session.receive(frame(ping=1), 20.0), Accepted)  # a small one still fits


def test_sixty_people_with_cameras_may_come_within_half_a_minute() -> None:
    session = opened()
    for person in range(1, 61):
        sdp = "v" * (2 * person * 3 * 1024)  # two sections each, 3 KiB a section
        assert isinstance(session.receive(described(sdp), person / 2), Accepted)


def test_changes_that_everybody_is_told_are_rationed_by_what_they_make_us_say() -> None:
    steady = opened()
    assert all(steady.change(100, tick / machine.CHANGES_RATE) is None for tick in range(1_000))
    for words, allowed in ((0, 200), (16 * 1024, 100), (512 * 1024, 6)):
        session = opened()
        outcomes = [session.change(words, 1.0) for _ in range(allowed + 1)]
        assert outcomes[:-1] == [None] * allowed
        assert outcomes[-1] is not None
        assert (outcomes[-1].code, outcomes[-1].fatal) == ("too_many_changes", True)
        assert allowed * words < 4 * 1024 * 1024  # signaling.livekit.outgoing.MAX_BYTES


def test_candidates_and_the_layers_of_old_clients_are_taken_in_silence() -> None:
    session = opened()
    assert session.receive(frame(trickle=rtc.TrickleRequest(candidateInit="{}")), 1.0) is None
    assert session.receive(frame(update_layers=rtc.UpdateVideoLayers()), 1.0) is None


def test_what_is_not_served_is_known_to_be_so() -> None:
    outcome = opened().receive(b"", 1.0)
    assert isinstance(outcome, Unserved)
    assert outcome.kind == "unknown"
    outcome = opened().receive(frame(publish_data_track_request={"pub_handle": 1}), 1.0)
    assert isinstance(outcome, Unserved)
    assert outcome.answer


def test_silence_and_a_transport_that_never_comes_are_overdue() -> None:
    session = opened()
    assert session.deadline() == 15.0
    assert session.overdue(14.9) is None
    assert session.overdue(15.0) is Departure.SIGNAL_TIMEOUT
    for second in range(0, 60, 5):
        session.receive(frame(ping=1), float(second))
    assert session.overdue(59.9) is None
    assert session.overdue(60.0) is Departure.JOIN_FAILURE
    session.active()
    assert session.overdue(60.0) is None


@given(st.binary(max_size=300))
def test_no_frame_raises(data: bytes) -> None:
    opened().receive(data, 1.0)
