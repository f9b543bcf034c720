"""Our RTCP and aiortc's, each reading what the other wrote."""

import random
from typing import SupportsBytes

from aiortc import rtp

from sfu._relay import oracle

Block = tuple[int, int, int, int, int, int, int]
Info = tuple[int, int, int, int]


def random_block(dice: random.Random) -> Block:
    ssrc, highest, jitter, last, delay = (dice.randrange(2**32) for _ in range(5))
    lost = dice.randrange(-(2**23), 2**23)
    return (ssrc, dice.randrange(256), lost, highest, jitter, last, delay)


def random_info(dice: random.Random) -> Info:
    rtp_time, packets, octets = (dice.randrange(2**32) for _ in range(3))
    return (dice.randrange(2**64), rtp_time, packets, octets)


def test_aiortc_reads_the_reports_that_we_write() -> None:
    dice = random.Random(1)
    for count in range(32):
        blocks = [random_block(dice) for _ in range(count)]
        info = random_info(dice)
        [sent] = rtp.RtcpPacket.parse(oracle.rtcp_sender_report(7, info, blocks))
        assert sent == rtp.RtcpSrPacket(
            ssrc=7,
            sender_info=rtp.RtcpSenderInfo(*info),
            reports=[rtp.RtcpReceiverInfo(*block) for block in blocks],
        )
        [received] = rtp.RtcpPacket.parse(oracle.rtcp_receiver_report(7, blocks))
        assert received == rtp.RtcpRrPacket(
            ssrc=7, reports=[rtp.RtcpReceiverInfo(*block) for block in blocks]
        )


def test_we_read_the_compounds_that_aiortc_writes() -> None:
    dice = random.Random(2)
    for _ in range(50):
        blocks = [random_block(dice) for _ in range(dice.randrange(4))]
        info = random_info(dice)
        lost = sorted(dice.sample(range(60_000), 20))
        compound: tuple[SupportsBytes, ...] = (
            rtp.RtcpSrPacket(
                ssrc=7,
                sender_info=rtp.RtcpSenderInfo(*info),
                reports=[rtp.RtcpReceiverInfo(*block) for block in blocks],
            ),
            rtp.RtcpSdesPacket(chunks=[rtp.RtcpSourceInfo(ssrc=7, items=[(1, b"somebody")])]),
            rtp.RtcpRtpfbPacket(fmt=1, ssrc=7, media_ssrc=8, lost=lost),
            rtp.RtcpPsfbPacket(fmt=1, ssrc=7, media_ssrc=8),
            rtp.RtcpPsfbPacket(fmt=4, ssrc=7, media_ssrc=0, fci=bytes(3) + b"\x08\x05" + bytes(3)),
            rtp.RtcpByePacket(sources=[7]),
        )
        assert oracle.rtcp_parse(b"".join(bytes(packet) for packet in compound)) == [
            {"kind": "sender_report", "sender": 7, "info": info, "reports": blocks},
            {"kind": "description", "chunks": [(7, b"somebody")]},
            {"kind": "nack", "sender": 7, "media": 8, "lost": lost},
            {"kind": "picture_loss", "sender": 7, "media": 8},
            {"kind": "full_intra", "sender": 7, "entries": [(8, 5)]},
            {"kind": "bye", "sources": [7]},
        ]


def test_aiortc_reads_what_else_we_write() -> None:
    lost = [10, 11, 26, 27, 28, 60_000]
    compound = (
        oracle.rtcp_receiver_report(7, [])
        + oracle.rtcp_cname(7, "somebody")
        + oracle.rtcp_nack(7, 8, lost)
        + oracle.rtcp_picture_loss(7, 8)
        + oracle.rtcp_bye([7, 8])
    )
    report, names, nack, loss, bye = rtp.RtcpPacket.parse(compound)
    assert report == rtp.RtcpRrPacket(ssrc=7, reports=[])
    assert isinstance(names, rtp.RtcpSdesPacket)
    assert names.chunks[0].items[0] == (1, b"somebody")
    assert isinstance(nack, rtp.RtcpRtpfbPacket)
    assert nack.lost == lost
    assert loss == rtp.RtcpPsfbPacket(fmt=1, ssrc=7, media_ssrc=8)
    assert bye == rtp.RtcpByePacket(sources=[7, 8])
