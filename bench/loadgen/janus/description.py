"""Our answer to an offer of Janus': everything received, with the feedback that we give."""

from __future__ import annotations

import re
from typing import Final

from bench.loadgen.sdp import LocalSide

_KEPT: Final = ("a=mid:", "a=rtpmap:", "a=fmtp:")
_TRANSPORT_NUMBERS: Final = "transport-wide-cc-extensions-01"
_ALWAYS: Final = "ccm fir"  # "nack pli" alone has Janus keep a history of packets


def answer(offer: str, local: LocalSide, *, tells: bool) -> str:
    """Every section is taken as it is offered. Without `tells` no resends and no feedback are."""
    head, *sections = re.split(r"(?m)^(?=m=)", offer)
    bundle = re.search(r"(?m)^a=group:BUNDLE .*$", head)
    lines = [
        "v=0",
        "o=- 4611731400430051337 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        *([bundle[0].strip()] if bundle else []),
        "a=msid-semantic: WMS",
    ]
    for section in sections:
        lines += _section(section.split("\r\n"), local, tells=tells)
    return "\r\n".join(lines) + "\r\n"


def transport_numbers(offer: str) -> int | None:
    """Which header extension holds transport-wide numbers, if one does."""
    found = re.search(rf"(?m)^a=extmap:(\d+) \S*{_TRANSPORT_NUMBERS}", offer)
    return int(found[1]) if found else None


def _section(offered: list[str], local: LocalSide, *, tells: bool) -> list[str]:
    resends = {
        line.split()[0].rpartition(":")[2]
        for line in offered
        if line.startswith("a=rtpmap:") and " rtx/" in line
    }
    dropped = set() if tells else resends
    kind, port, protocol, *types = offered[0].split()
    taken = [each for each in types if each not in dropped]
    lines = [
        " ".join((kind, port, protocol, *taken)),
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        "a=setup:active",
        "a=recvonly",
        "a=rtcp-mux",
    ]
    for line in offered[1:]:
        of = line.partition(":")[2].split(" ")[0]
        if line.startswith(_KEPT):
            if of not in dropped or line.startswith("a=mid:"):
                lines.append(line)
        elif line.startswith("a=rtcp-fb:"):
            if tells or line.endswith(_ALWAYS):
                lines.append(line)
        elif line.startswith("a=extmap:") and (tells and _TRANSPORT_NUMBERS in line):
            lines.append(line)
    return lines
