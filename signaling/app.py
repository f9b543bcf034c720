"""The composition root: the one place that picks adapters, reads the clock and draws entropy."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import uvloop

from signaling.audit.log import LogAudit
from signaling.config import Settings, load_development
from signaling.identity.livekit_token import LiveKitTokens, mint
from signaling.media import UnreachableError
from signaling.planes import Assemble, Foundations, Planes, assemble
from signaling.server import logs, memory
from signaling.server.addresses import ClientAddresses
from signaling.server.admin import Health, admin
from signaling.server.api import Mint, Minted, PageConfig
from signaling.server.build import version
from signaling.server.edge import EdgeOptions, EdgeServices, edge
from signaling.server.engine import Engine, EngineLimits, engine, listening_socket
from signaling.server.limits import ConnectionCounts
from signaling.server.metrics import Metrics
from signaling.server.origin import OwnOrigins
from signaling.server.private import make_private_folder
from signaling.server.throwaway import Throwaway, throwaway
from signaling.server.tls import server_context

DIST: Final = Path(__file__).with_name("web") / "dist"
DEVELOPMENT_TTL: Final = 6 * 3600.0  # seconds a token of the development page lives

# --- This machine --------------------------------------------------------------------------------


class SystemClock:
    """`ports.Clock` of this machine."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class SystemEntropy:
    """`ports.Entropy` of the operating system."""

    def token(self, size: int) -> bytes:
        """`size` unpredictable bytes."""
        return secrets.token_bytes(size)


# --- Development --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Development:
    """What `--dev` adds to the settings."""

    identity: Throwaway
    plaintext: bool


def development(
    environ: Mapping[str, str], state_dir: Path, port: int, *, plaintext: bool = False
) -> tuple[Settings, Development]:
    """Settings and identity of a development server, made and kept in `state_dir`.

    The admin and media ports follow `port` by one and two. Raises ConfigError, PrivateFileError.
    """
    state_dir = state_dir.absolute()
    make_private_folder(state_dir)
    identity = throwaway(state_dir / "dev", SystemClock().now(), SystemEntropy())
    defaults: dict[str, Any] = {
        "state_dir": str(state_dir),
        "listen": {"port": port},
        "admin": {"port": port + 1 if port else 0},
        "media": {"port": port + 2 if port else 0, "bind": ["127.0.0.1", "::1"]},
        "tls": {"certificate_file": str(identity.certificate), "key_file": str(identity.key)},
        "keys": {identity.api_key: {"secret_file": str(identity.api_secret_file)}},
        "limits": {"joins_per_minute": 1200},
        "log": {"format": "console"},
    }
    return load_development(defaults, environ), Development(identity, plaintext)


# --- The server ---------------------------------------------------------------------------------


class StartError(Exception):
    """The server cannot start; what happened, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a started server can be reached."""

    port: int
    admin_port: int


Announce = Callable[[Listening], None]


class Application:
    """One server, from its sockets to its last goodbye."""

    def __init__(
        self,
        settings: Settings,
        dev: Development | None = None,
        assemble: Assemble = assemble,
    ) -> None:
        self._settings = settings
        self._dev = dev
        self._assemble = assemble
        self._clock = SystemClock()
        self._log = logs.logger(__name__)
        self._stop = asyncio.Event()

    async def run(self, announce: Announce) -> None:
        """Serve until :meth:`stop`; raises StartError before anything was announced."""
        with contextlib.ExitStack() as sockets:
            public = self._bind_public(sockets)
            private = self._bind(sockets, str(self._settings.admin.host), "admin")
            listening = Listening(public[0].getsockname()[1], private.getsockname()[1])
            async with self._planes() as (foundations, planes):
                await self._serve(public, private, listening, foundations, planes, announce)

    def stop(self) -> None:
        """Stop gracefully: not ready, clients told, sockets closed."""
        self._stop.set()

    async def _serve(
        self,
        public: list[socket.socket],
        private: socket.socket,
        listening: Listening,
        foundations: Foundations,
        planes: Planes,
        announce: Announce,
    ) -> None:
        health = Health(planes.working)
        metrics = Metrics(planes.media_counters, planes.call_counts)
        engines = self._engines(listening, foundations, planes, health, metrics)
        loop_watch = asyncio.create_task(metrics.watch_loop(self._clock.monotonic))
        serving = [
            asyncio.create_task(engines[0].serve(sockets=public)),
            asyncio.create_task(engines[1].serve(sockets=[private])),
        ]
        self._log.info("started", policy=self._settings.policy.value)
        announce(listening)
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopping, *serving], return_when=asyncio.FIRST_COMPLETED)
        health.draining = True
        self._log.info("stopping", grace=self._settings.shutdown.grace)
        planes.resources.shut()
        try:
            await planes.door.shut(self._settings.shutdown.grace)
        except Exception:  # noqa: BLE001 (our bug must not keep the process from ending)
            self._log.exception("goodbye_failed")
        # The admin port last: until then it answers that the server drains
        for listener, served in zip(engines, serving, strict=True):
            listener.end()
            await asyncio.wait({served})
        await asyncio.gather(*serving)
        for task in (loop_watch, stopping):
            task.cancel()
        self._log.info("stopped")

    @contextlib.asynccontextmanager
    async def _planes(self) -> AsyncIterator[tuple[Foundations, Planes]]:
        foundations = Foundations(
            settings=self._settings,
            clock=self._clock,
            entropy=SystemEntropy(),
            audit=LogAudit(logs.recorder("signaling.audit")),
            authenticator=LiveKitTokens(self._settings.api_keys()),
        )
        try:
            planes = await self._assemble(foundations)
        except OSError as error:
            raise self._media_problem(error) from error
        except UnreachableError as error:
            raise self._unreachable() from error
        try:
            yield foundations, planes
        finally:
            await planes.close()

    def _engines(
        self,
        listening: Listening,
        foundations: Foundations,
        planes: Planes,
        health: Health,
        metrics: Metrics,
    ) -> tuple[Engine, Engine]:
        settings, dev = self._settings, self._dev
        secure = dev is None or not dev.plaintext
        certificate, key = settings.tls.certificate_file, settings.tls.key_file
        assert certificate is not None  # config refuses to load without
        assert key is not None
        context = server_context(certificate, key, settings.policy) if secure else None
        addresses = ClientAddresses(
            settings.listen.trusted_proxies, settings.listen.forwarded_header
        )
        options = EdgeOptions(
            page=PageConfig(version(), settings.policy.value, development=dev is not None),
            dist=DIST,
            secure=secure,
            joins_per_minute=settings.limits.joins_per_minute,
            connections_per_address=settings.limits.connections_per_address,
            addresses=addresses,
            own_origins=OwnOrigins(listening.port, secure=secure) if dev is not None else None,
        )
        services = EdgeServices(
            door=planes.door,
            resources=planes.resources,
            authenticator=foundations.authenticator,
            transports=planes.transports,
            clock=self._clock,
            health=health,
            metrics=metrics,
            mint=self._mint() if dev is not None else None,
        )
        limits = EngineLimits(
            max_header_bytes=settings.limits.max_header_bytes,
            max_message_bytes=settings.limits.max_message_bytes,
            connections=ConnectionCounts(settings.limits.connections_per_address),
            addresses=addresses,
        )
        token = settings.admin.token
        admin_app = admin(metrics, health, token.get_secret_value() if token else None)
        admin_context = None if settings.admin.host.is_loopback else context
        # An own count: a flood at the public door must not lock the monitoring out
        admin_limits = replace(limits, connections=ConnectionCounts(64))
        return (
            engine(edge(options, services), context, limits),
            engine(admin_app, admin_context, admin_limits),
        )

    def _mint(self) -> Mint:
        api_key, key = next(iter(self._settings.api_keys().items()))

        def minted(room: str, name: str) -> Minted:
            identity = f"dev-{secrets.token_hex(6)}"
            token = mint(
                api_key,
                key.secret,
                identity=identity,
                room=room,
                now=self._clock.now(),
                ttl=min(DEVELOPMENT_TTL, key.max_lifetime),
                name=name,
            )
            return Minted(token, identity, room)

        return minted

    def _bind_public(self, sockets: contextlib.ExitStack) -> list[socket.socket]:
        host = self._settings.listen.host
        public = [self._bind(sockets, str(host), "listen")]
        if self._dev is not None and str(host) == "127.0.0.1":
            # "localhost" is ::1 first for many clients; a stranger must not own that half
            port = public[0].getsockname()[1]
            with contextlib.suppress(_NoIPv6Error):
                public.append(self._bind(sockets, "::1", "listen", port))
        return public

    def _bind(
        self, sockets: contextlib.ExitStack, host: str, table: str, port: int | None = None
    ) -> socket.socket:
        if port is None:
            port = self._settings.admin.port if table == "admin" else self._settings.listen.port
        try:
            return sockets.enter_context(contextlib.closing(listening_socket(host, port)))
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and host == "::1":
                raise _NoIPv6Error from error
            raise self._bind_problem(error, host, table, port) from error

    def _media_problem(self, error: OSError) -> StartError:
        port, ports = self._settings.media.port, self._settings.media.ports
        if error.errno != errno.EADDRINUSE:
            problem = f"Cannot open the media port {ports}/udp: {os.strerror(error.errno or 0)}."
            return StartError(problem, "Check media.bind and media.port.")
        return StartError(
            f"Port {ports}/udp is taken: something already receives media there.",
            f"Stop that, or choose another port: CONCLAVE_MEDIA__PORT={port + 10}",
        )

    def _unreachable(self) -> StartError:
        if self._settings.media.interfaces:
            problem = (
                "None of the interfaces in media.interfaces has an address to give to clients."
            )
            return StartError(problem, "Correct the names (`ip address` lists them).")
        return StartError(
            "This machine has no address to give to clients, only loopback.",
            "Set media.bind or media.advertise, or wait for the network.",
        )

    def _bind_problem(self, error: OSError, host: str, table: str, port: int) -> StartError:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if error.errno != errno.EADDRINUSE:
            remedy = f"Check {table}.host and {table}.port."
            return StartError(f"Cannot listen on {where}: {os.strerror(error.errno or 0)}.", remedy)
        variable = f"CONCLAVE_{table.upper()}__PORT={port + 10}"
        option = f"--port {port + 10}" if self._dev and table == "listen" else variable
        return StartError(
            f"Port {port} is taken: something already listens on {where}.",
            f"Stop that, or choose another port: {option}",
        )


class _NoIPv6Error(Exception):
    """This machine has no ::1."""


def serve(
    settings: Settings,
    announce: Announce,
    dev: Development | None = None,
    assemble: Assemble = assemble,
) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the process at once.

    Raises StartError, PrivateFileError.
    """
    memory.keep_large_apart()
    logs.configure(settings.log.format, settings.log.level)
    uvloop.run(_until_signalled(settings, announce, dev, assemble))


async def _until_signalled(
    settings: Settings, announce: Announce, dev: Development | None, assemble: Assemble
) -> None:
    loop = asyncio.get_running_loop()
    logs.watch_loop(loop)
    if dev is None:
        make_private_folder(settings.state_dir)
    application = Application(settings, dev, assemble)
    asked = 0

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            os._exit(128 + number)
        application.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)

    def announced(at: Listening) -> None:
        announce(at)
        memory.settle()

    await application.run(announced)
