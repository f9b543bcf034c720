"""What we say to Janus, and what we make of its answers."""

from __future__ import annotations

import pytest

from bench.loadgen.janus.description import answer, transport_numbers
from bench.loadgen.janus.messages import Refused, candidate, join_to_listen, outcome
from bench.loadgen.sdp import LocalSide, remote_side

LOCAL = LocalSide("ours", "a-password-of-ours", "AA:BB")
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 10.80.0.1",
        "s=VideoRoom 1000",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=ice-lite",
        *(
            line
            for mid in (0, 1)
            for line in (
                "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
                "c=IN IP4 10.80.0.1",
                "a=sendonly",
                f"a=mid:{mid}",
                "a=rtcp-mux",
                "a=ice-ufrag:theirs",
                "a=ice-pwd:their-password",
                "a=setup:actpass",
                "a=fingerprint:sha-256 CC:DD",
                "a=rtpmap:96 VP8/90000",
                "a=rtcp-fb:96 ccm fir",
                "a=rtcp-fb:96 nack",
                "a=rtcp-fb:96 nack pli",
                "a=rtcp-fb:96 transport-cc",
                "a=extmap:3 http://www.ietf.org/id/"
                "draft-holmer-rmcat-transport-wide-cc-extensions-01",
                "a=rtpmap:97 rtx/90000",
                "a=fmtp:97 apt=96",
                "a=candidate:1 1 udp 2015363327 10.80.0.1 40000 typ host",
            )
        ),
        "",
    ]
)


def _lines(*, tells: bool) -> list[str]:
    return answer(OFFER, LOCAL, tells=tells).split("\r\n")


def test_every_offered_section_is_received_and_both_know_who_greets() -> None:
    lines = _lines(tells=False)
    assert lines.count("a=recvonly") == lines.count("a=setup:active") == 2
    assert "a=group:BUNDLE 0 1" in lines
    assert [line for line in lines if line.startswith("a=mid:")] == ["a=mid:0", "a=mid:1"]


def test_with_feedback_resends_and_numbers_are_taken() -> None:
    lines = _lines(tells=True)
    assert lines.count("m=video 9 UDP/TLS/RTP/SAVPF 96 97") == 2
    assert lines.count("a=rtcp-fb:96 nack") == lines.count("a=rtcp-fb:96 transport-cc") == 2
    assert transport_numbers("\r\n".join(lines)) == 3


def test_without_feedback_none_of_it_is() -> None:
    lines = _lines(tells=False)
    assert lines.count("m=video 9 UDP/TLS/RTP/SAVPF 96") == 2
    assert "a=rtcp-fb:96 nack" not in lines
    assert "a=rtcp-fb:96 nack pli" not in lines  # Janus would keep a history for it
    assert "a=rtcp-fb:96 ccm fir" in lines
    assert not [line for line in lines if ":97" in line or "transport" in line]


def test_its_offer_says_where_it_is_and_who_it_must_be() -> None:
    remote = remote_side(OFFER)
    assert remote.address("10.80.0.1") == ("10.80.0.1", 40_000)
    assert remote.fingerprints == {"sha-256": "CC:DD"}


def test_a_subscription_asks_for_all_feeds_at_once() -> None:
    assert join_to_listen(7, [1, 2])["streams"] == [{"feed": 1}, {"feed": 2}]


def test_where_we_are_is_told_as_a_host_candidate() -> None:
    line = candidate(("10.80.0.2", 5000))["candidate"]["candidate"]
    assert line == "candidate:1 1 udp 2130706431 10.80.0.2 5000 typ host"


def test_an_acknowledgement_is_no_answer_yet() -> None:
    assert outcome({"janus": "ack", "transaction": "1"}) is None


def test_an_answer_holds_what_was_told_and_its_description() -> None:
    told = {"videoroom": "joined", "id": 12}
    found = outcome({"janus": "event", "plugindata": {"data": told}, "jsep": {"sdp": "v=0"}})
    assert found is not None
    assert (found.feed, found.sdp) == (12, "v=0")


@pytest.mark.parametrize(
    "message",
    [
        {"janus": "error", "error": {"code": 458, "reason": "No such session"}},
        {"janus": "event", "plugindata": {"data": {"error_code": 426, "error": "No such room"}}},
        {"janus": "timeout"},
    ],
)
def test_a_refusal_is_said_with_its_reason(message: dict[str, object]) -> None:
    with pytest.raises(Refused, match="Janus says"):
        outcome(message)
