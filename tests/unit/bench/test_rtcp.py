"""The generator's RTCP, read by aiortc, which wrote none of it."""

from __future__ import annotations

from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSrPacket,
)

from bench.loadgen.rtcp import asks_for_key_frame, receiver_report, sender_report


def test_a_sender_report_is_what_it_says() -> None:
    report, names = RtcpPacket.parse(sender_report(7, 90_000, 12, 3456))
    assert isinstance(report, RtcpSrPacket)
    assert (report.ssrc, report.sender_info.rtp_timestamp) == (7, 90_000)
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (12, 3456)
    assert isinstance(names, RtcpSdesPacket)


def test_a_receiver_report_has_a_block_for_each_stream() -> None:
    report, _ = RtcpPacket.parse(receiver_report(7, [(1, 70_000, 3), (2, 9, 0)]))
    assert isinstance(report, RtcpRrPacket)
    assert [(one.ssrc, one.highest_sequence, one.packets_lost) for one in report.reports] == [
        (1, 70_000, 3),
        (2, 9, 0),
    ]


def test_more_streams_than_a_report_can_hold_are_left_out() -> None:
    report, _ = RtcpPacket.parse(receiver_report(7, [(number, 0, 0) for number in range(40)]))
    assert isinstance(report, RtcpRrPacket)
    assert len(report.reports) == 31


def test_a_picture_loss_is_found_behind_a_report() -> None:
    loss = bytes(RtcpPsfbPacket(fmt=1, ssrc=7, media_ssrc=8))
    assert asks_for_key_frame(receiver_report(7, []) + loss)
    assert not asks_for_key_frame(receiver_report(7, []))
    assert not asks_for_key_frame(loss[:-4])
