"""A session of Janus' WebSocket API, shared by everybody in one generator."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import defaultdict
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.loadgen.janus import messages
from bench.loadgen.janus.messages import Message, Outcome, Refused, outcome
from bench.loadgen.venue import VenueError

KEEP_ALIVE: Final = 25.0  # seconds; Janus forgets a session after 60
_PATIENCE: Final = 30.0  # seconds for any answer
_GONE: Final = ("hangup", "detached", "timeout")


class Session:
    """Requests out; what comes goes to whoever waits for it, by its transaction."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._transactions = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._id = 0
        self._lost = ""
        self._hung_up: dict[int, str] = {}  # why, by handle
        self._up: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._tasks = [asyncio.create_task(self._listen())]

    @classmethod
    async def open(cls, host: str, port: int) -> Session:
        """Raises VenueError, OSError."""
        connection = await connect(
            f"ws://{host}:{port}",
            subprotocols=[Subprotocol("janus-protocol")],
            max_size=4 * 1024 * 1024,
            compression=None,
            proxy=None,
        )
        session = cls(connection)
        session._id = int((await session._ask({"janus": "create"})).told["id"])
        session._tasks.append(asyncio.create_task(session._keep_alive()))
        return session

    async def attach(self) -> int:
        """A new handle of the video room: one connection. Raises VenueError."""
        asked = {"janus": "attach", "plugin": messages.PLUGIN}
        return int((await self._ask(asked)).told["id"])

    async def say(self, handle: int, body: Message, jsep: Message | None = None) -> Outcome:
        """Ask the video room. Raises VenueError with what it said."""
        asked: Message = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            asked["jsep"] = jsep
        return await self._ask(asked)

    async def trickle(self, handle: int, address: tuple[str, int]) -> None:
        """Tell where we are."""
        for each in (messages.candidate(address), messages.no_more_candidates()):
            await self._send({**each, "handle_id": handle, "transaction": "trickle"})

    async def connected(self, handle: int) -> None:
        """Until Janus too finds that this connection stands. Raises VenueError."""
        try:
            await asyncio.wait_for(self._up[handle].wait(), _PATIENCE)
        except TimeoutError:
            raise VenueError("a connection with Janus does not stand in time") from None

    def failure(self, handle: int) -> str | None:
        """Why the connection of this handle ended, if it did."""
        return self._lost or self._hung_up.get(handle)

    async def close(self) -> None:
        """Everybody leaves at once."""
        for task in self._tasks:
            task.cancel()
        try:
            await self._send({"janus": "destroy", "transaction": "destroy"})
            await self._connection.close()
        except (ConnectionClosed, VenueError):
            return

    async def _ask(self, message: Message) -> Outcome:
        transaction = str(next(self._transactions))
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = waiting
        try:
            await self._send({**message, "transaction": transaction})
            return await asyncio.wait_for(waiting, _PATIENCE)
        except TimeoutError:
            raise VenueError("Janus did not answer in time") from None
        except Refused as refusal:
            raise VenueError(str(refusal)) from refusal
        finally:
            self._waiting.pop(transaction, None)

    async def _send(self, message: Message) -> None:
        if self._lost:
            raise VenueError(self._lost)
        session = {"session_id": self._id} if self._id else {}
        await self._connection.send(json.dumps({**message, **session}))

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            await self._send({"janus": "keepalive", "transaction": "keepalive"})

    async def _listen(self) -> None:
        try:
            async for message in self._connection:
                self._take(json.loads(message))
        except ConnectionClosed:
            pass
        self._lost = "the session with Janus was lost"
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(VenueError(self._lost))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("janus") in _GONE:
            why = f"Janus: {message['janus']} {message.get('reason', '')}".strip()
            self._hung_up.setdefault(message.get("sender", 0), why)
        if message.get("janus") == "webrtcup":
            self._up[message.get("sender", 0)].set()
        waiting = self._waiting.get(message.get("transaction", ""))
        if waiting is None or waiting.done():
            return
        try:
            found = outcome(message)
        except Refused as refusal:
            waiting.set_exception(refusal)
            return
        if found is not None:
            waiting.set_result(found)
