"""The shim proves the path, answers checks, and carries DTLS and nothing else, unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from aioice import stun

from sfu.probe.sides import Credentials, RemoteSide
from tests.probe.ice_shim import IceShim

RECORD = b"\x16\xfe\xfd" + bytes(8) + b"\x00\x03abc"
ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"
SRTP = b"\x80\x6f" + bytes(30)
OURS = Credentials("ours", "a-password-of-our-own-side")
THEIRS = Credentials("theirs", "a-password-of-the-far-side")


@dataclass
class MediaPort(asyncio.DatagramProtocol):
    """A lite agent: answers the checks it can verify, keeps the rest."""

    answering: bool = True
    heard: list[bytes] = field(default_factory=list)
    checks: list[stun.Message] = field(default_factory=list)
    answers: list[stun.Message] = field(default_factory=list)
    transport: asyncio.DatagramTransport | None = None
    client: tuple[str, int] | None = None

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.client = address
        if data[0] >= 4:
            self.heard.append(data)
            return
        message = stun.parse_message(data)
        if message.message_class == stun.Class.RESPONSE:
            self.answers.append(message)
            return
        assert message.check_message_integrity(THEIRS.password.encode())
        self.checks.append(message)
        if self.answering:
            reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
            reply.attributes["XOR-MAPPED-ADDRESS"] = address
            reply.add_message_integrity(THEIRS.password.encode())
            self.say(bytes(reply))

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        assert self.client is not None
        self.transport.sendto(data, self.client)


async def media_port() -> tuple[MediaPort, RemoteSide]:
    loop, port = asyncio.get_running_loop(), MediaPort()
    transport, _ = await loop.create_datagram_endpoint(lambda: port, local_addr=("127.0.0.1", 0))
    port.transport = transport
    remote = RemoteSide(
        THEIRS.ufrag, THEIRS.password, (), (transport.get_extra_info("sockname"),), "passive"
    )
    return port, remote


class ToolEnd(asyncio.DatagramProtocol):
    """Where a tool would be."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, _address: object) -> None:
        self.heard.put_nowait(data)


async def tool_end(shim: IceShim) -> tuple[ToolEnd, asyncio.DatagramTransport]:
    end = ToolEnd()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: end, remote_addr=("127.0.0.1", shim.port)
    )
    return end, transport


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_it_checks_as_a_controlling_agent_that_nominates() -> None:
    port, remote = await media_port()
    async with IceShim.proven(OURS, remote):
        (check, *_more) = port.checks
    assert check.attributes["USERNAME"] == "theirs:ours"
    assert "ICE-CONTROLLING" in check.attributes
    assert "USE-CANDIDATE" in check.attributes


async def test_it_is_not_there_until_a_check_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.probe.ice_shim.PATIENCE", 0.3)
    port, remote = await media_port()
    port.answering = False
    with pytest.raises(TimeoutError):
        async with IceShim.proven(OURS, remote):
            raise AssertionError("it came about")
    assert port.checks


async def test_it_answers_the_checks_of_the_server() -> None:
    port, remote = await media_port()
    async with IceShim.proven(OURS, remote) as shim:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        port.say(bytes(request))
        await until(lambda: port.answers)
        (answer,) = port.answers
        assert answer.transaction_id == request.transaction_id
        assert answer.check_message_integrity(OURS.password.encode())
        assert shim.checks_answered == 1


async def test_dtls_passes_both_ways_unchanged_and_nothing_else_does() -> None:
    port, remote = await media_port()
    async with IceShim.proven(OURS, remote) as shim:
        end, transport = await tool_end(shim)
        for datagram in (b"", b"\x01no check of the tool's", SRTP, RECORD):
            transport.sendto(datagram)
        await until(lambda: port.heard)
        assert port.heard == [RECORD]
        for datagram in (SRTP, b"\x00\x01rubbish", ALERT):
            port.say(datagram)
        assert await asyncio.wait_for(end.heard.get(), 5) == ALERT
        assert end.heard.empty()
        transport.close()


async def test_who_comes_second_to_the_local_port_is_not_carried() -> None:
    port, remote = await media_port()
    async with IceShim.proven(OURS, remote) as shim:
        _first, one = await tool_end(shim)
        one.sendto(RECORD)
        await until(lambda: port.heard)
        _second, other = await tool_end(shim)
        other.sendto(ALERT)
        one.sendto(RECORD)
        await until(lambda: len(port.heard) == 2)
        assert port.heard == [RECORD, RECORD]
        one.close()
        other.close()
