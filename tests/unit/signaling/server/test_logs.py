"""The log's gate: no token, name or address passes, whoever logs and however."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import time
from typing import Any

import pytest
from websockets.exceptions import WebSocketException

from signaling.audit.log import LogAudit
from signaling.domain.errors import Refusal
from signaling.identity.livekit_token import mint
from signaling.server import logs

Start = Any  # conftest.Start: test modules cannot import one another

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    return stream


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestGate:
    def test_an_event_is_one_line_with_its_fields(self, stream: io.StringIO) -> None:
        logs.logger("signaling.test").info("joined", participant="PA_1", room="RM_1", tracks=3)
        (event,) = events(stream)
        assert event["event"] == "joined"
        assert event["level"] == "info"
        assert (event["participant"], event["room"], event["tracks"]) == ("PA_1", "RM_1", 3)

    @pytest.mark.parametrize(
        "field",
        [
            "token",
            "access_token",
            "secret",
            "api_secret",
            "password",
            "authorization",
            "cookie",
            "join_request",
            "api_key",
            "address",
            "client_address",
            "ip",
            "identity",
            "name",
            "participant_name",
            "metadata",
            "ufrag",
            "sdp",
            "candidate",
            "url",
            "query",
            "body",
            "room",
            "participant",
        ],
    )
    def test_a_field_that_promises_a_secret_is_refused(
        self, stream: io.StringIO, field: str
    ) -> None:
        logs.logger("signaling.test").info("event", **{field: "canary"})
        assert "canary" not in stream.getvalue()
        assert events(stream)[0][field] == logs.REFUSED

    @pytest.mark.parametrize(
        "text",
        [
            f"GET /rtc?access_token={JWT}",
            "GET /rtc?join_request=canary==&x=1",
            "Authorization: Bearer canary",
            f"a token {JWT} in the middle",
        ],
    )
    def test_a_token_in_any_text_is_taken_out(self, stream: io.StringIO, text: str) -> None:
        logs.logger("signaling.test").info("event", detail=text, nested={"deep": [text]})
        logging.getLogger("signaling.x").warning(text)
        logging.getLogger("library").warning("%s", text)
        assert "canary" not in stream.getvalue()
        assert "eyJ" not in stream.getvalue()

    def test_an_exception_is_told_without_its_message(self, stream: io.StringIO) -> None:
        try:
            try:
                raise ValueError("canary")
            except ValueError as error:
                raise RuntimeError("canary") from error
        except RuntimeError:
            logs.logger("signaling.test").exception("failed")
            logging.getLogger("library").exception("failed")
        assert "canary" not in stream.getvalue()
        for event in events(stream):
            assert event["exception"].startswith("RuntimeError at test_logs.py:")
            assert "ValueError at test_logs.py:" in event["exception"]

    def test_libraries_say_no_addresses(self, stream: io.StringIO) -> None:
        text = "lost 192.0.2.7:4000 and [2001:db8::7]:4000 at /x?room=canary"
        logging.getLogger("library").warning(text)
        (event,) = events(stream)
        assert event["library"] == "library"
        for part in ("192.0.2.7", "2001:db8", "canary"):
            assert part not in stream.getvalue()

    def test_libraries_are_heard_only_when_they_warn(self, stream: io.StringIO) -> None:
        logs.configure("json", "debug", stream)
        for library in ("uvicorn.error", "websockets.server", "aiortc", "anything"):
            logging.getLogger(library).info("canary")
        logging.getLogger("signaling.x").debug("ours")
        assert "canary" not in stream.getvalue()
        assert "ours" in stream.getvalue()

    def test_a_level_hides_what_lies_below(self, stream: io.StringIO) -> None:
        logs.logger("signaling.test").debug("hidden")
        assert not stream.getvalue()

    def test_the_console_form_passes_the_same_gate(self) -> None:
        stream = io.StringIO()
        logs.configure("console", "info", stream)
        logs.logger("signaling.test").info("joined", token="canary")
        assert "joined" in stream.getvalue()
        assert "canary" not in stream.getvalue()

    def test_audit_events_pass_it_too(self, stream: io.StringIO) -> None:
        LogAudit(logs.recorder("signaling.audit")).record("grant", identity="canary", room="RM_1")
        (event,) = events(stream)
        assert (event["event"], event["room"]) == ("grant", "RM_1")
        assert "canary" not in stream.getvalue()


class TestCanary:
    """Every way to fail, each with the canary in it: the log at its loudest holds none of it."""

    CANARY = "kanarienvogel"

    async def test_it_is_in_no_output(
        self, start: Start, capfd: pytest.CaptureFixture[str]
    ) -> None:
        server = await start()
        name, key = next(iter(server.settings.api_keys().items()))
        token = mint(
            name,
            key.secret,
            identity=self.CANARY,
            room=self.CANARY,
            name=self.CANARY,
            now=time.time(),
            ttl=60,
        )
        for error in (
            None,
            Refusal("token_expired", f"no {self.CANARY}", status=401),
            RuntimeError(self.CANARY),
            ConnectionError(token),
        ):
            server.door.refusal = error
            await self.everything(server, token)
        server.door.refusal = None
        server.door.session_error = ValueError(token)
        await self.everything(server, token)
        captured = capfd.readouterr()
        output = server.log.getvalue() + captured.out + captured.err
        assert "RuntimeError" in output  # the log did tell of it
        assert self.CANARY not in output
        assert token not in output
        assert token.split(".")[1] not in output
        assert "127.0.0.1" not in output

    async def test_without_the_gate_the_engine_prints_the_query(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = await start()
        bare = io.StringIO()
        engine = logging.getLogger("uvicorn.error")
        handler = logging.StreamHandler(bare)
        monkeypatch.setattr(engine, "handlers", [handler])
        monkeypatch.setattr(engine, "propagate", False)
        await server.connect(f"/rtc?access_token={self.CANARY}")
        assert self.CANARY not in bare.getvalue()  # the level alone already silences it
        engine.setLevel(logging.INFO)  # the next server's configure() puts it back
        await server.connect(f"/rtc?access_token={self.CANARY}")
        assert self.CANARY in bare.getvalue()

    async def everything(self, server: Any, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        query = f"?access_token={token}&join_request={self.CANARY}"
        http = await server.http()
        for path in ("/rtc/validate", "/rtc/v1/validate", "/rtc", "/", "/v1/me/transport"):
            for given in ({}, headers, {"Authorization": self.CANARY}, {"Host": self.CANARY}):
                await http.get(path + query, headers=given)
        await http.post(
            "/v1/dev/token" + query,
            json={"room": self.CANARY, "name": self.CANARY},
            headers={"Origin": server.origin},
        )
        for path in (f"/rtc{query}", f"/rtc/v1{query}", f"/{self.CANARY}{query}"):
            with contextlib.suppress(WebSocketException):
                client = await server.connect(path, additional_headers=headers)
                await client.send(self.CANARY)
                await client.recv()
                client.transport.abort()
        for head in (
            f"GET /rtc{query} HTTP/1.1\r\nBroken {self.CANARY}\r\n\r\n",
            f"GET /rtc{query}{self.CANARY * 4000} HTTP/1.1\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(
                "localhost", server.at.port, ssl=server.context
            )
            writer.write(head.encode())
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        # and a client that speaks no TLS at all
        reader, writer = await asyncio.open_connection("127.0.0.1", server.at.port)
        writer.write(self.CANARY.encode())
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


async def test_what_nobody_awaited_is_reported_without_its_message(stream: io.StringIO) -> None:
    loop = asyncio.get_running_loop()
    logs.watch_loop(loop)
    loop.call_exception_handler({"message": "broken", "exception": ValueError("canary")})
    (event,) = events(stream)
    assert event["event"] == "unhandled_error"
    assert event["exception"].startswith("ValueError")
    assert "canary" not in stream.getvalue()
