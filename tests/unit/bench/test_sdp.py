"""Offers as a client makes them; answers as a server does."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription

from bench.loadgen.sdp import BadAnswer, LocalSide, Section, offer, reachable, remote_side

LOCAL = LocalSide(ufrag="abcd", password="p" * 32, fingerprint=":".join(["AB"] * 32))
ANSWER = (
    "v=0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:uf\r\na=ice-pwd:pw\r\n"
    "a=fingerprint:sha-256 aa:bb\r\na=setup:passive\r\n"
    "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host\r\n"
)


def test_another_parser_reads_the_offer() -> None:
    sections = [Section("video", cid="cam", ssrc=7), Section("audio"), Section("audio")]
    parsed = SessionDescription.parse(offer(LOCAL, sections, version=3))
    assert [media.rtp.muxId for media in parsed.media] == ["0", "1", "2"]
    assert [media.direction for media in parsed.media] == ["sendonly", "recvonly", "recvonly"]
    assert parsed.media[0].msid == "- cam"
    assert parsed.media[0].ssrc[0].ssrc == 7
    assert parsed.group[0].items == ["0", "1", "2"]


def test_the_servers_side_is_read_from_the_answer() -> None:
    remote = remote_side(ANSWER)
    assert (remote.ufrag, remote.password) == ("uf", "pw")
    assert remote.fingerprints == {"sha-256": "AA:BB"}
    assert remote.addresses == [("127.0.0.1", 7882)]


@pytest.mark.parametrize(
    "missing", ["a=ice-ufrag:uf", "a=setup:passive", "a=fingerprint:sha-256 aa:bb", "a=candidate"]
)
def test_an_answer_of_no_use_is_refused(missing: str) -> None:
    lines = [line for line in ANSWER.splitlines() if not line.startswith(missing)]
    with pytest.raises(BadAnswer):
        remote_side("\r\n".join(lines))


def test_an_answer_that_trickles_tells_later_where_the_server_is() -> None:
    candidate = "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host\r\n"
    answer = ANSWER.replace(candidate, "")
    assert not reachable(answer)
    assert reachable(answer + "a=candidate:2 1 tcp 1671430143 127.0.0.1 7881 typ host") is False
    assert reachable(answer + candidate)
