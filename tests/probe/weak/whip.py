"""The test's server behind WHIP and WHEP (RFC 9725): one POST, one DELETE, a token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from livekit.protocol import rtc

from tests.probe.weak.node import Member, WeakNode
from tests.probe.weak.strength import Strength


class _Unheard:
    """Stands where a LiveKit participant's socket is; keeps what is said to it."""

    def __init__(self) -> None:
        self.said: list[rtc.SignalResponse] = []

    async def send(self, message: bytes) -> None:
        self.said.append(rtc.SignalResponse.FromString(message))


class WhipNode(WeakNode):
    """`/whip` and `/whep` on `web`. `sessions` are open ones, by path."""

    def __init__(self, strength: Strength) -> None:
        super().__init__(strength)
        self.sessions: dict[str, Member] = {}
        self.web = ""
        self.asked: list[str] = []  # method and path of every request

    @classmethod
    @asynccontextmanager
    async def doors(cls, strength: Strength) -> AsyncIterator[WhipNode]:
        """A node with its HTTP server for the time of the block."""
        async with cls.running(strength) as node:
            assert isinstance(node, WhipNode)
            server = await asyncio.start_server(node.http, "127.0.0.1", 0)
            node.web = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with server:
                yield node

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        body = (await reader.readexactly(int(length[1]) if length else 0)).decode()
        self.asked.append(f"{method} {path}")
        if "\r\nAuthorization: Bearer let-me-in\r\n" not in head:
            answer = "401 Unauthorized", "", ""
        elif method == "POST":
            answer = await self.posted(path, body)
        else:
            member = self.sessions.pop(path)
            self.members.pop(member.ufrag, None)
            answer = "200 OK", "", ""
        status, headers, text = answer
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n{headers}\r\n{text}".encode()
        )
        await writer.drain()
        writer.close()

    async def posted(self, path: str, offer: str) -> tuple[str, str, str]:
        """Status, headers and body of an answer to an offer."""
        if ("a=sendonly" in offer) != (path == "/whip"):
            return "422 Unprocessable Content", "", "The offer goes the wrong way."
        socket = _Unheard()
        description = rtc.SessionDescription(type="offer", sdp=offer)
        member = await self.answer(socket, description)  # type: ignore[arg-type]  # it can send
        if member is None:
            return "422 Unprocessable Content", "", "The offer is refused."
        self.sessions[f"/session/{member.ufrag}"] = member
        headers = f"Location: /session/{member.ufrag}\r\nContent-Type: application/sdp\r\n"
        return "201 Created", headers, socket.said[-1].answer.sdp
