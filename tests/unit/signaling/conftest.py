"""A whole server on loopback, with a fake door: real sockets, real TLS, real uvloop."""

from __future__ import annotations

import asyncio
import io
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from signaling import config
from signaling.app import Application, Development, Listening, development
from signaling.domain.errors import Refusal
from signaling.livekit.door import Knock, SignalSocket
from signaling.planes import Foundations, Planes
from signaling.ports import Fingerprint, MediaCounters, PeerRole, TransportReport, WorkerLoad
from signaling.server import logs
from signaling.server.metrics import CallCounts
from signaling.whip.door import Created, Endpoint, Resource, Restarted, Wish


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server's own loop: its transports differ from asyncio's where it matters."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class FakeDoor:
    """Echoes; what it refuses, raises or waits for is set by the test."""

    foundations: Foundations
    refusal: Exception | None = None
    session_error: Exception | None = None
    hold: bool = False
    knocks: list[Knock] = field(default_factory=list)
    sockets: list[SignalSocket] = field(default_factory=list)
    abandoned: int = 0
    ended: int = 0
    shut_with: list[float] = field(default_factory=list)
    change: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_ended(self, count: int) -> None:
        while self.ended < count:
            self.change.clear()
            await self.change.wait()

    async def validate(self, knock: Knock) -> None:
        self.knocks.append(knock)
        if self.refusal is not None:
            raise self.refusal

    async def admit(self, knock: Knock) -> FakeAdmission:
        await self.validate(knock)
        if self.hold:
            await asyncio.Event().wait()
        return FakeAdmission(self)

    async def shut(self, grace: float) -> None:
        self.shut_with.append(grace)
        for socket in list(self.sockets):
            await socket.send(b"leave")
            await socket.close()


@dataclass
class FakeAdmission:
    door: FakeDoor

    async def run(self, socket: SignalSocket) -> None:
        if self.door.session_error is not None:
            raise self.door.session_error
        self.door.sockets.append(socket)
        try:
            while (message := await socket.receive()) is not None:
                await socket.send(message if isinstance(message, bytes) else message.encode())
        finally:
            self.door.sockets.remove(socket)
            self.door.ended += 1
            self.door.change.set()

    def abandon(self) -> None:
        self.door.abandoned += 1


@dataclass
class FakeResources:
    """Lets everybody in, unless the test says otherwise; notes what it was asked."""

    refusal: Exception | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    restarts: bool = False
    is_shut: bool = False

    def admit(self, endpoint: Endpoint, room: str, token: str) -> None:
        self._note("admit", endpoint, room, token)

    def create(self, endpoint: Endpoint, room: str, token: str, offer: str, wish: Wish) -> Created:
        self._note("create", endpoint, room, token, offer, wish)
        return Created(Resource(endpoint, room, "secret-session"), "tag-1", "v=0 answer")

    def admit_to(self, resource: Resource, token: str) -> None:
        self._note("admit_to", resource, token)

    def patch(
        self, resource: Resource, token: str, if_match: str | None, fragment: str
    ) -> Restarted | None:
        self._note("patch", resource, token, if_match, fragment)
        return Restarted("tag-2", "a=ice-ufrag:ours") if self.restarts else None

    def delete(self, resource: Resource, token: str) -> None:
        self._note("delete", resource, token)

    def shut(self) -> None:
        self.is_shut = True

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal


@dataclass
class FakeTransports:
    here: tuple[str, str] | None = None

    def transports(self, room: str, identity: str) -> tuple[str, Sequence[TransportReport]] | None:
        if (room, identity) != self.here:
            return None
        report = TransportReport(
            role=PeerRole.SINGLE,
            state="connected",
            policy="standard",
            cipher_suite="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            local_fingerprint=Fingerprint("sha-256", "AA:BB"),
        )
        return "PA_me", [report]


@dataclass
class Server:
    """A running server and everything a test wants to touch."""

    application: Application
    settings: config.Settings
    dev: Development | None
    door: FakeDoor
    resources: FakeResources
    transports: FakeTransports
    at: Listening
    task: asyncio.Task[None]
    log: io.StringIO
    context: ssl.SSLContext | None
    working: list[bool]
    clients: AsyncExitStack

    @property
    def origin(self) -> str:
        return f"{'https' if self.context else 'http'}://localhost:{self.at.port}"

    async def http(self, **options: Any) -> httpx.AsyncClient:
        verify = self.context if self.context is not None else False
        client = httpx.AsyncClient(base_url=self.origin, verify=verify, **options)
        return await self.clients.enter_async_context(client)

    async def admin(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.at.admin_port}")
        return await self.clients.enter_async_context(client)

    async def connect(self, path: str = "/rtc/v1", **options: Any) -> ClientConnection:
        url = self.origin.replace("http", "ws", 1) + path
        opening = connect(url, ssl=self.context, proxy=None, **options)
        return await self.clients.enter_async_context(opening)


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts servers: `await start(LISTEN__PORT="0", …)`; settings go in as in the environment."""
    async with AsyncExitStack() as stack:

        async def started(
            *, plaintext: bool = False, production: bool = False, **settings: str
        ) -> Server:
            running = _running(tmp_path, plaintext, production, settings)
            return await stack.enter_async_context(running)

        yield started


@asynccontextmanager
async def _running(
    folder: Path, plaintext: bool, production: bool, changes: dict[str, str]
) -> AsyncIterator[Server]:
    environ = {f"CONCLAVE_{name}": value for name, value in changes.items()}
    settings, dev = development(
        {} if production else environ, folder / "state", 0, plaintext=plaintext
    )
    if production:
        settings = config.load(None, production_environ(dev) | environ, time.time())
    log = io.StringIO()
    logs.configure("json", "debug", log)
    made: list[FakeDoor] = []
    transports, resources, working = FakeTransports(), FakeResources(), [True]

    async def assemble(foundations: Foundations) -> Planes:
        made.append(FakeDoor(foundations))

        async def close() -> None:
            return

        return Planes(
            door=made[0],
            resources=resources,
            transports=transports,
            media_counters=lambda: MediaCounters(
                counters={"dropped_replay": 3},
                peers=2,
                negotiated={("TLS_X", "AEAD_AES_128_GCM"): 2},
                workers=(WorkerLoad(0, 0.25, 2), WorkerLoad(1, 0.0, 0)),
            ),
            call_counts=lambda: CallCounts(rooms=1, unserved={"simulate": 4}),
            working=lambda: working[0],
            close=close,
        )

    application = Application(settings, None if production else dev, assemble)
    listening: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(application.run(listening.set_result))
    task.add_done_callback(lambda _: listening.done() or listening.cancel())
    await asyncio.wait([listening])
    if listening.cancelled():
        await task  # tells why it did not start
    context = None if plaintext else ssl.create_default_context(cafile=dev.identity.ca)
    async with AsyncExitStack() as clients:
        server = Server(
            application,
            settings,
            None if production else dev,
            made[0],
            resources,
            transports,
            await listening,
            task,
            log,
            context,
            working,
            clients,
        )
        yield server
    application.stop()
    await task


def production_environ(dev: Development) -> dict[str, str]:
    """The settings of a real server that uses the development certificate and key."""
    return {
        "CONCLAVE_LISTEN__PORT": "0",
        "CONCLAVE_ADMIN__PORT": "0",
        "CONCLAVE_TLS__CERTIFICATE_FILE": str(dev.identity.certificate),
        "CONCLAVE_TLS__KEY_FILE": str(dev.identity.key),
        f"CONCLAVE_KEYS__{dev.identity.api_key}__SECRET_FILE": str(dev.identity.api_secret_file),
    }


@pytest.fixture
def refusal() -> Refusal:
    """A refusal as the door raises it."""
    return Refusal("token_expired", "The token has expired.", status=401)
