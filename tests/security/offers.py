"""Session descriptions by hand, honest ones and the other kind (RFC 8829)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

FINGERPRINT: Final = ":".join(["AB"] * 32)
OPUS: Final = 111


@dataclass(frozen=True, slots=True)
class LocalSide:
    """Our end of a transport."""

    fingerprint: str = FINGERPRINT
    ufrag: str = "ourUfrag"
    password: str = "ourPasswordOfEnoughLetters"
    algorithm: str = "sha-256"


@dataclass(frozen=True, slots=True)
class RemoteSide:
    """The server's end, as its answer tells."""

    ufrag: str
    password: str
    host: str
    port: int


def listening(local: LocalSide = LocalSide(), *, sections: int = 1) -> str:
    """An offer to receive that many audio tracks."""
    return _offer(local, [f"a=mid:{mid}\r\na=recvonly\r\n" for mid in range(sections)])


def speaking(local: LocalSide = LocalSide(), *, cid: str = "mic", ssrc: int = 77) -> str:
    """An offer to send one audio track."""
    lines = f"a=mid:0\r\na=sendonly\r\na=msid:- {cid}\r\na=ssrc:{ssrc} cname:test\r\n"
    return _offer(local, [lines])


def padded(size: int) -> str:
    """A legal offer of about `size` characters, all of which have to be read."""
    sections = []
    for mid in range(max(1, size // 20_000)):
        sources = "".join(f"a=ssrc:{1000 * mid + n} cname:{'x' * 50}\r\n" for n in range(280))
        sections.append(f"a=mid:{mid}\r\na=recvonly\r\n{sources}")
    return _offer(LocalSide(), sections)


def remote_side(answer: str) -> RemoteSide:
    """Where the server waits for this transport; its IPv4 candidate."""

    def found(pattern: str) -> re.Match[str]:
        match = re.search(pattern, answer, re.MULTILINE)
        assert match is not None, f"no {pattern} in the answer"
        return match

    host, port = found(r"^a=candidate:\S+ 1 udp \d+ (127\.\S+) (\d+) typ host").groups()
    ufrag, password = found(r"^a=ice-ufrag:(\S+)")[1], found(r"^a=ice-pwd:(\S+)")[1]
    return RemoteSide(ufrag.strip(), password.strip(), host, int(port))


def _offer(local: LocalSide, sections: list[str]) -> str:
    mids = " ".join(str(mid) for mid in range(len(sections)))
    head = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    transport = (
        f"a=ice-ufrag:{local.ufrag}\r\na=ice-pwd:{local.password}\r\n"
        f"a=fingerprint:{local.algorithm} {local.fingerprint}\r\na=setup:actpass\r\n"
    )
    media = (
        f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}\r\nc=IN IP4 0.0.0.0\r\n{transport}"
        f"a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:{OPUS} opus/48000/2\r\n"
    )
    bodies = "".join(media + section for section in sections)
    return f"{head}a=group:BUNDLE {mids}\r\na=msid-semantic: WMS\r\n{bodies}"
