"""Data channels: aiortc's SCTP on a transport's DTLS, bounded on every side.

screen       refuses packets that would hang or crash the engine, before it sees them
association  the engine with its buffers bounded; a hostile peer fails alone
channels     what a peer uses: labelled channels, opened by either side
"""

from sfu.sctp.association import DataRefused
from sfu.sctp.channels import LOSSY, RELIABLE, DataChannels

__all__ = ["LOSSY", "RELIABLE", "DataChannels", "DataRefused"]
