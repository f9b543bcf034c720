"""The door's one implementation: from a knock to a running connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from signaling.calls.calls import Calls
from signaling.calls.member import Member
from signaling.domain.errors import Refusal
from signaling.domain.grants import Claims
from signaling.domain.people import Departure
from signaling.livekit import messages
from signaling.livekit.connection import Connection
from signaling.livekit.conversation import Conversation
from signaling.livekit.door import Admission, Knock, SignalSocket
from signaling.livekit.knock import JoinWish, parse_knock
from signaling.livekit.outgoing import Outgoing
from signaling.livekit.tally import Tally
from signaling.ports import Authenticator, Clock

ADMISSION_SECONDS = 10.0
"""How long a prepared session waits for its upgrade."""


class LiveKitDoor:
    """Implements `Door`. `tally` counts what went wrong, for the metrics; `make_outgoing` makes the
    queue of one session.
    """

    def __init__(
        self,
        *,
        calls: Calls,
        authenticator: Authenticator,
        clock: Clock,
        make_outgoing: Callable[[], Outgoing] = Outgoing,
    ) -> None:
        self.tally = Tally()
        self._calls = calls
        self._authenticator = authenticator
        self._clock = clock
        self._make_outgoing = make_outgoing
        self._running: set[asyncio.Task[None]] = set()
        self._shutting = False

    async def validate(self, knock: Knock) -> None:
        """The checks of `admit` without effects. Raises `Refusal`."""
        self._check(knock)

    async def admit(self, knock: Knock) -> Admission:
        """Raises `Refusal`: what `parse_knock`, the authenticator and `Calls.prepare` raise, and
        `server_stopping`.
        """
        wish, claims = self._check(knock)
        if wish.reconnect:
            return _NoResume()
        try:
            member = self._calls.prepare(claims, wish.request)
        except Refusal as refusal:
            self.tally.refusals[refusal.code] += 1
            raise
        return _Prepared(self, wish, member)

    async def shut(self, grace: float) -> None:
        """Refuse new sessions, tell the running ones to go, wait up to `grace` seconds."""
        self._shutting = True
        try:
            self._calls.dismiss_all(
                Departure.SERVER_SHUTDOWN, "server_stopping", "The server is stopping."
            )
        finally:
            await self._drain(grace)

    def converse(
        self, wish: JoinWish, member: Member, socket: SignalSocket
    ) -> Coroutine[None, None, None]:
        """A prepared session, to be run. Who runs it need not keep the wish, with its token."""
        connection = Connection(socket, self._clock, self._make_outgoing())
        conversation = Conversation(
            member=member,
            dual=wish.request.dual,
            offer=wish.offer,
            clock=self._clock,
            tally=self.tally,
            line=connection,
        )
        return connection.run(conversation)

    async def speak(self, session: Coroutine[None, None, None]) -> None:
        """Run a prepared session to its end."""
        task = asyncio.create_task(session)
        self._running.add(task)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            self._running.discard(task)
        if not task.cancelled():
            task.result()

    @property
    def shutting(self) -> bool:
        return self._shutting

    async def _drain(self, grace: float) -> None:
        if not self._running:
            return
        _, late = await asyncio.wait(set(self._running), timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _check(self, knock: Knock) -> tuple[JoinWish, Claims]:
        try:
            if self._shutting:
                raise Refusal("server_stopping", "The server is stopping.", status=503)
            wish = parse_knock(knock)
            claims = self._authenticator.authenticate(wish.token, self._clock.now())
            self._calls.check(claims, wish.request)
        except Refusal as refusal:
            self.tally.refusals[refusal.code] += 1
            raise
        return wish, claims


class _Prepared:
    """A join that needs nothing more but its socket."""

    def __init__(self, door: LiveKitDoor, wish: JoinWish, member: Member) -> None:
        self._door = door
        self._wish: JoinWish | None = wish
        self._member = member
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(ADMISSION_SECONDS, self.abandon)

    async def run(self, socket: SignalSocket) -> None:
        self._expiry.cancel()
        if self._door.shutting:
            self.abandon()
        assert self._wish is not None, "run once"
        session = self._door.converse(self._wish, self._member, socket)
        self._wish = None
        await self._door.speak(session)

    def abandon(self) -> None:
        self._expiry.cancel()
        self._member.leave(Departure.JOIN_FAILURE)


class _NoResume:
    """Sessions do not survive their WebSocket: the client is told to join afresh."""

    async def run(self, socket: SignalSocket) -> None:
        try:
            async with asyncio.timeout(ADMISSION_SECONDS):
                await socket.send(messages.cannot_resume().SerializeToString())
                await socket.close()
        except (TimeoutError, ConnectionError):
            pass

    def abandon(self) -> None:
        """Nothing was prepared."""
