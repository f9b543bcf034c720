"""uvicorn's gaps, each shown closed on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import zlib
from types import FunctionType, ModuleType
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode

from signaling.server import engine as engine_module
from signaling.server.engine import MAX_FRAGMENTS, GuardedWebSocket, SharedBuffer
from tests.patience import PATIENCE

Start = Any  # conftest.Start: test modules cannot import one another

UPGRADE = (
    b"GET /rtc HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)


async def raw(server: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare TCP connection to a plaintext server, with a small receive buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.at.port))
    return await asyncio.open_connection(sock=sock, limit=4096)


async def upgraded(
    server: Any, extra: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await raw(server)
    writer.write(UPGRADE % (server.at.port, extra))
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def masked(opcode: Opcode, data: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    frame = Frame(opcode, data, fin=fin).serialize(mask=True)
    return bytes([frame[0] | (0x40 if rsv1 else 0)]) + frame[1:]


async def ended(reader: asyncio.StreamReader) -> None:
    """Read until the server closes."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of tenths of a second, since a socket's time cannot be driven."""
    original = engine_module.EngineLimits

    def shortened(**given: Any) -> Any:
        return original(**{**given, "header_deadline": 0.2, "send_deadline": 0.2})

    monkeypatch.setattr("signaling.app.EngineLimits", shortened)


class TestFrames:
    async def test_a_message_of_a_megabyte_arrives_whole(self, start: Start) -> None:
        client = await (await start()).connect(max_size=2**22)
        message = os.urandom(2**20)
        await client.send(message)
        assert await client.recv() == message

    async def test_messages_of_two_clients_at_once_are_not_mixed(self, start: Start) -> None:
        read: list[int] = []
        updated = SharedBuffer.buffer_updated

        def watched(buffer: SharedBuffer, nbytes: int) -> None:
            read.append(nbytes)
            updated(buffer, nbytes)

        server = await start()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(SharedBuffer, "buffer_updated", watched)
            clients = [await server.connect(max_size=2**22) for _ in range(2)]
            sent = [os.urandom(2**20) for _ in clients]
            await asyncio.gather(*map(ClientConnection.send, clients, sent))
            assert await asyncio.gather(*map(ClientConnection.recv, clients)) == sent
        assert sum(read) > 2**21  # by way of the memory that they share

    async def test_one_over_the_cap_closes_with_1009(self, start: Start) -> None:
        server = await start()
        client = await server.connect(compression=None)
        await client.send(b"x" * (2 * 2**20 + 1))
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009

    async def test_a_bomb_is_measured_inflated(self, start: Start) -> None:
        server = await start(plaintext=True)
        extension = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        reader, writer = await upgraded(server, extension)
        deflate = zlib.compressobj(wbits=-12)
        bomb = deflate.compress(bytes(64 * 2**20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        assert len(bomb) < 2**17
        writer.write(masked(Opcode.BINARY, bomb[:-4], rsv1=True))
        header = await reader.readexactly(4)
        assert header[0] == 0x88  # a close frame
        assert int.from_bytes(header[2:4], "big") == 1009
        writer.close()

    async def test_compressed_messages_know_nothing_of_each_other(self, start: Start) -> None:
        server = await start(plaintext=True)
        reader, writer = await raw(server)
        extension = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        writer.write(UPGRADE % (server.at.port, extension))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"server_no_context_takeover; client_no_context_takeover" in head
        writer.close()
        client = await server.connect()
        for message in (b"the same " * 200, b"the same " * 200, b"other"):
            await client.send(message)
            assert await asyncio.wait_for(client.recv(), PATIENCE) == message
        await client.close()

    @pytest.mark.parametrize("defended", [False, True])
    async def test_endless_empty_fragments_end(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, defended: bool
    ) -> None:
        if not defended:
            monkeypatch.delattr(GuardedWebSocket, "handle_cont")
        server = await start(plaintext=True)
        reader, writer = await upgraded(server)
        writer.write(masked(Opcode.BINARY, b"", fin=False))
        writer.write(masked(Opcode.CONT, b"", fin=False) * MAX_FRAGMENTS)
        writer.write(masked(Opcode.CONT, b"held", fin=True))
        header = await reader.readexactly(4)
        if defended:
            assert (header[0], int.from_bytes(header[2:4], "big")) == (0x88, 1008)
        else:
            assert header[:2] == b"\x82\x04"  # the echo: every fragment was kept
        writer.close()

    async def test_what_is_no_frame_ends_that_session_alone(self, start: Start) -> None:
        server = await start(plaintext=True)
        reader, writer = await upgraded(server)
        writer.write(b"\xff" * 64)
        await ended(reader)
        client = await server.connect()
        await client.send(b"hello")
        assert await client.recv() == b"hello"
        writer.close()


class TestLongRequestLines:
    @pytest.mark.parametrize("raised", [False, True])
    async def test_websockets_limit_is_raised_to_ours(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, raised: bool
    ) -> None:
        if not raised:
            monkeypatch.setattr(engine_module, "_raise_line_limit", lambda _: None)
        monkeypatch.setattr("websockets.http11.MAX_LINE_LENGTH", 8192)
        server = await start()
        path = f"/rtc?access_token={'x' * 9000}"
        if raised:
            await server.connect(path)
        else:
            with pytest.raises(InvalidStatus) as caught:
                await server.connect(path)
            assert caught.value.response.status_code == 414
        assert len(server.door.knocks) == raised

    async def test_what_websockets_refuses_is_answered_and_closed(self, start: Start) -> None:
        server = await start(plaintext=True)
        reader, writer = await raw(server)
        writer.write(UPGRADE % (server.at.port, b"X-Y: z\r\n" * 200))
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 431")
        assert not server.door.knocks
        writer.close()


class TestStuckReaders:
    async def flood(self, server: Any, frame: bytes) -> tuple[Any, int]:
        """Send `frame` for a second without reading; how many bytes the server took."""
        _, writer = await upgraded(server)
        sent = 0
        try:
            async with asyncio.timeout(1.0):
                while sent < 256 * 2**20:
                    writer.write(frame)
                    sent += len(frame)
                    await writer.drain()
        except (TimeoutError, ConnectionError):
            pass
        return writer, sent

    @pytest.mark.usefixtures("short_deadlines")
    @pytest.mark.parametrize("defended", [False, True])
    async def test_a_session_whose_client_never_reads_ends(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, defended: bool
    ) -> None:
        if not defended:
            monkeypatch.delattr(GuardedWebSocket, "send")
        server = await start(plaintext=True)
        writer, _ = await self.flood(server, masked(Opcode.BINARY, bytes(60_000)))
        try:
            async with asyncio.timeout(PATIENCE if defended else 1):
                await server.door.until_ended(1)
        except TimeoutError:
            assert not defended
        assert server.door.ended == (1 if defended else 0)
        writer.transport.abort()

    @pytest.mark.parametrize("defended", [False, True])
    async def test_pings_without_reading_the_pongs_fill_no_memory(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, defended: bool
    ) -> None:
        if not defended:
            monkeypatch.delattr(GuardedWebSocket, "handle_ping")
        held: list[int] = []
        received = GuardedWebSocket.data_received

        def watched(protocol: GuardedWebSocket, data: bytes) -> None:
            received(protocol, data)
            held.append(protocol.transport.get_write_buffer_size())

        monkeypatch.setattr(GuardedWebSocket, "data_received", watched)
        server = await start(plaintext=True)
        writer, _ = await self.flood(server, masked(Opcode.PING, bytes(125)) * 400)
        writer.transport.abort()
        assert (max(held) < 2**19) is defended

    @pytest.mark.parametrize("defended", [False, True])
    async def test_what_nobody_takes_is_not_read(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, defended: bool
    ) -> None:
        waiting: list[int] = []
        took = GuardedWebSocket.send_receive_event_to_app

        def watched(protocol: GuardedWebSocket) -> None:
            if not defended:
                protocol.read_paused = True  # uvicorn then leaves reading alone
            took(protocol)
            waiting.append(protocol.queue.qsize())

        monkeypatch.setattr(GuardedWebSocket, "send_receive_event_to_app", watched)
        server = await start(plaintext=True)
        writer, _ = await self.flood(server, masked(Opcode.BINARY, bytes(60_000)))
        writer.transport.abort()
        # One that waits, and what the read brings that follows
        assert (max(waiting) <= 3) is defended


@pytest.mark.parametrize("forgets", [False, True])
async def test_the_token_of_a_request_is_not_kept_for_the_session(
    start: Start, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    if not forgets:
        monkeypatch.setattr(GuardedWebSocket, "_forget_request", lambda _: None)
    running: list[GuardedWebSocket] = []
    made = GuardedWebSocket.connection_made

    def watched(protocol: GuardedWebSocket, transport: Any) -> None:
        running.append(protocol)
        made(protocol, transport)

    monkeypatch.setattr(GuardedWebSocket, "connection_made", watched)
    server = await start(plaintext=True)
    reader, writer = await raw(server)
    request = UPGRADE.replace(b"/rtc", b"/rtc?access_token=sesame")
    writer.write(request % (server.at.port, b"Authorization: Bearer open\r\n"))
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    (protocol,) = running
    held = [protocol.scope, protocol.conn, vars(protocol).get("request")]
    assert keeps(held, "sesame") is not forgets
    assert keeps(held, "Bearer open") is not forgets
    writer.close()


def keeps(holders: list[Any], word: str) -> bool:
    """Whether anything of theirs contains the word; what the whole process shares is left out."""
    shared = ModuleType | FunctionType | type | logging.Logger
    seen: set[int] = set()
    left = list(holders)
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, shared):
            continue
        seen.add(id(one))
        if isinstance(one, bytes | bytearray):
            one = one.decode("latin-1")
        if isinstance(one, str) and word in one:
            return True
        left += gc.get_referents(one)
    return False


class TestSilentClients:
    """`PING_INTERVAL` shortened, since a socket's time cannot be driven."""

    PING = 0x89
    PONG = Opcode.PONG

    @pytest.fixture(autouse=True)
    def short_interval(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine_module, "PING_INTERVAL", 0.5)
        monkeypatch.setattr(engine_module, "PING_TIMEOUT", 0.3)

    async def test_who_is_silent_is_pinged_and_who_does_not_answer_is_closed(
        self, start: Start
    ) -> None:
        reader, writer = await upgraded(await start(plaintext=True))
        async with asyncio.timeout(PATIENCE):
            for _ in range(2):
                assert await self.pinged(reader, writer)
            assert not await self.pinged(reader, writer, answer=False)
        writer.close()

    async def test_who_speaks_is_not_pinged(self, start: Start) -> None:
        reader, writer = await upgraded(await start(plaintext=True))
        echo = b"\x82\x05hello"
        for _ in range(25):
            writer.write(masked(Opcode.BINARY, b"hello"))
            assert await reader.readexactly(len(echo)) == echo
            await asyncio.sleep(0.1)
        async with asyncio.timeout(PATIENCE):
            assert await self.pinged(reader, writer)  # now silent
        writer.close()

    async def pinged(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool = True
    ) -> bool:
        """Wait for a ping; unless it is answered, whether anything but the end follows."""
        header = await reader.readexactly(2)
        assert header == bytes([self.PING, 4])
        payload = await reader.readexactly(4)
        if answer:
            writer.write(masked(self.PONG, payload))
            return True
        return (await reader.readexactly(1))[0] != 0x88


class TestSlowHeads:
    @pytest.mark.usefixtures("short_deadlines")
    @pytest.mark.parametrize("head", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local"])
    async def test_a_head_that_never_ends_is_cut_off(self, start: Start, head: bytes) -> None:
        server = await start(plaintext=True)
        reader, writer = await raw(server)
        writer.write(head)
        async with asyncio.timeout(3):
            await ended(reader)
        writer.close()

    @pytest.mark.usefixtures("short_deadlines")
    async def test_so_is_the_second_one_of_a_connection(self, start: Start) -> None:
        server = await start(plaintext=True)
        reader, writer = await raw(server)
        host = b"Host: localhost:%d\r\n\r\n" % server.at.port
        writer.write(b"HEAD / HTTP/1.1\r\n" + host)
        assert b"200" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HEAD / HT")
        async with asyncio.timeout(3):
            await ended(reader)
        writer.close()

    @pytest.mark.usefixtures("short_deadlines")
    async def test_a_session_outlives_the_deadline(self, start: Start) -> None:
        server = await start(plaintext=True)
        client = await server.connect()
        await asyncio.sleep(0.5)
        await client.send(b"hello")
        assert await client.recv() == b"hello"


class TestConnectionCap:
    async def test_one_address_opens_only_so_many_and_gets_them_back(self, start: Start) -> None:
        server = await start(plaintext=True, LIMITS__CONNECTIONS_PER_ADDRESS="3")
        connections = [await upgraded(server) for _ in range(3)]
        reader, writer = await raw(server)
        writer.write(b"HEAD / HTTP/1.1\r\n\r\n")
        assert not await self.answer(reader)
        for _, open_writer in connections:
            open_writer.transport.abort()
        async with asyncio.timeout(5):
            await server.door.until_ended(3)
        again = await server.connect()
        await again.send(b"hello")
        assert await again.recv() == b"hello"

    async def test_connections_that_never_upgrade_are_given_back_too(self, start: Start) -> None:
        server = await start(plaintext=True, LIMITS__CONNECTIONS_PER_ADDRESS="2")
        request = b"HEAD / HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n"
        for _ in range(6):
            reader, writer = await raw(server)
            writer.write(request % server.at.port)
            assert b"200" in await self.answer(reader)
            writer.close()
            await asyncio.sleep(0.01)

    async def answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(4096)
        except ConnectionError:
            return b""


async def test_garbage_instead_of_http_gets_a_400_and_no_more(start: Start) -> None:
    server = await start(plaintext=True)
    reader, writer = await raw(server)
    writer.write(os.urandom(512) + b"\r\n\r\n")
    answer = await reader.read(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    writer.close()
