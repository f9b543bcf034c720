"""The public listener, from outside: LiveKit's doorstep, CORS, the page, the API."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from signaling import app
from signaling.domain.errors import Refusal
from signaling.identity.livekit_token import mint

Start = Any  # conftest.Start: test modules cannot import one another

JOINING = ["/rtc", "/rtc/v1", "//rtc/v1"]


class TestDoorstep:
    @pytest.mark.parametrize("path", JOINING)
    async def test_a_client_joins_and_speaks(self, start: Start, path: str) -> None:
        server = await start()
        client = await server.connect(path + "?access_token=abc&sdk=js")
        await client.send(b"hello")
        assert await client.recv() == b"hello"
        await client.send("text")
        assert await client.recv() == b"text"
        (knock,) = server.door.knocks
        assert knock.path == path.replace("//", "/")
        assert knock.query == {"access_token": "abc", "sdk": "js"}
        assert knock.authorization is None
        assert client.subprotocol is None

    async def test_the_bearer_header_reaches_the_door(self, start: Start) -> None:
        server = await start()
        await server.connect(additional_headers={"Authorization": "Bearer abc"})
        assert server.door.knocks[0].authorization == "Bearer abc"

    async def test_a_refused_upgrade_has_status_sentence_and_cors(
        self, start: Start, refusal: Refusal
    ) -> None:
        server = await start()
        server.door.refusal = refusal
        with pytest.raises(InvalidStatus) as caught:
            await server.connect()
        response = caught.value.response
        assert response.status_code == 401
        assert bytes(response.body) == b"The token has expired."
        assert response.headers["access-control-allow-origin"] == "*"

    @pytest.mark.parametrize("path", ["/rtc/validate", "/rtc/v1/validate"])
    async def test_validate_says_success_or_why_not_with_cors(
        self, start: Start, path: str
    ) -> None:
        server = await start()
        http = await server.http()
        answer = await http.get(path, params={"access_token": "abc"})
        assert (answer.status_code, answer.text) == (200, "success")
        assert answer.headers["access-control-allow-origin"] == "*"
        for status in (400, 401, 404, 503):
            server.door.refusal = Refusal("code", "Not now.", status=status)
            answer = await http.get(path)
            assert (answer.status_code, answer.text) == (status, "Not now.")
            assert answer.headers["access-control-allow-origin"] == "*"

    @pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
    async def test_a_plain_get_is_404_with_cors(self, start: Start, path: str) -> None:
        server = await start()
        answer = await (await server.http()).get(path)
        assert answer.status_code == 404
        assert "requested room does not exist" not in answer.text
        assert answer.headers["access-control-allow-origin"] == "*"

    async def test_a_sixteen_kilobyte_url_joins(self, start: Start) -> None:
        server = await start()
        token = "x" * 16_384
        client = await server.connect(f"/rtc/v1?access_token={token}")
        await client.send(b"hello")
        assert await client.recv() == b"hello"
        assert server.door.knocks[0].query["access_token"] == token

    @pytest.mark.parametrize("size", [40_000, 300_000])
    async def test_a_url_over_the_cap_is_refused_and_reaches_nobody(
        self, start: Start, size: int
    ) -> None:
        server = await start()
        with pytest.raises((InvalidHandshake, ConnectionClosed, OSError)):
            await server.connect(f"/rtc/v1?access_token={'x' * size}")
        assert not server.door.knocks

    async def test_our_own_failure_is_a_500_without_details(self, start: Start) -> None:
        server = await start()
        server.door.refusal = RuntimeError("hunter2")
        with pytest.raises(InvalidStatus) as caught:
            await server.connect()
        assert caught.value.response.status_code == 500
        assert b"hunter2" not in bytes(caught.value.response.body)
        answer = await (await server.http()).get("/rtc/validate")
        assert answer.status_code == 500
        assert "hunter2" not in answer.text + server.log.getvalue()
        assert "RuntimeError" in server.log.getvalue()

    async def test_a_session_that_fails_is_closed_and_the_next_one_works(
        self, start: Start
    ) -> None:
        server = await start()
        server.door.session_error = RuntimeError("hunter2")
        client = await server.connect()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        server.door.session_error = None
        client = await server.connect()
        await client.send(b"hello")
        assert await client.recv() == b"hello"

    async def test_a_websocket_elsewhere_is_404(self, start: Start) -> None:
        server = await start()
        with pytest.raises(InvalidStatus) as caught:
            await server.connect("/elsewhere")
        assert caught.value.response.status_code == 404


class TestCors:
    @pytest.mark.parametrize("path", ["/", "/rtc/validate", "/rtc/v1/validate"])
    async def test_a_preflight_is_answered(self, start: Start, path: str) -> None:
        server = await start()
        answer = await (await server.http()).options(path)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in answer.headers["access-control-allow-headers"]

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_the_base_url_answers_anybody(self, start: Start, method: str) -> None:
        server = await start()
        answer = await (await server.http()).request(method, "/")
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"

    @pytest.mark.parametrize("path", ["/v1/dev/token", "/v1/page/config", "/index.html"])
    async def test_nothing_else_is_for_strangers(self, start: Start, path: str) -> None:
        server = await start()
        answer = await (await server.http()).options(path)
        assert "access-control-allow-origin" not in answer.headers


class TestPage:
    async def test_without_a_build_it_says_how_to_build(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(app, "DIST", tmp_path / "none")
        answer = await (await (await start()).http()).get("/?room=x")
        assert "npm run build" in answer.text

    async def test_with_a_build_it_is_served_and_cached_by_name(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        dist = tmp_path / "dist"
        (dist / "assets").mkdir(parents=True)
        (dist / "index.html").write_text("<p>the page")
        (dist / "assets" / "app-1234.js").write_text("1")
        (tmp_path / "secret").write_text("hunter2")
        monkeypatch.setattr(app, "DIST", dist)
        http = await (await start()).http()
        page = await http.get("/?room=x")
        assert page.text == "<p>the page"
        assert page.headers["cache-control"] == "no-cache"
        script = await http.get("/assets/app-1234.js")
        assert "immutable" in script.headers["cache-control"]
        for outside in ("/../secret", "/..%2fsecret", "/assets/..%2f..%2fsecret", "/nowhere"):
            answer = await http.get(outside)
            assert answer.status_code == 404
            assert "immutable" not in answer.headers.get("cache-control", "")

    async def test_every_answer_carries_the_strict_headers(self, start: Start) -> None:
        http = await (await start()).http()
        for path in ("/", "/rtc/validate", "/v1/page/config", "/v1/none"):
            headers = (await http.get(path)).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "strict-transport-security" not in headers  # development
            assert "server" not in headers

    async def test_a_real_server_asks_for_tls_for_a_year(self, start: Start) -> None:
        http = await (await start(production=True)).http()
        assert "max-age=31536000" in (await http.get("/")).headers["strict-transport-security"]


def own_token(server: Any, identity: str = "ada", room: str = "lobby") -> str:
    name, key = next(iter(server.settings.api_keys().items()))
    return mint(name, key.secret, identity=identity, room=room, now=time.time(), ttl=60)


class TestOwnTransport:
    async def get(self, server: Any, token: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer: httpx.Response = await (await server.http()).get(
            "/v1/me/transport", headers=headers
        )
        return answer

    async def test_a_participant_sees_its_own(self, start: Start) -> None:
        server = await start()
        server.transports.here = ("lobby", "ada")
        answer = await self.get(server, own_token(server))
        body = answer.json()
        assert body["participant"] == "PA_me"
        (transport,) = body["transports"]
        assert transport["role"] == "single"
        assert transport["cipher_suite"] == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
        assert transport["local_fingerprint"] == {"algorithm": "sha-256", "value": "AA:BB"}
        assert transport["failure"] is None
        assert answer.headers["cache-control"] == "no-store"

    async def test_nobody_sees_anybody_elses(self, start: Start) -> None:
        server = await start()
        server.transports.here = ("lobby", "ada")
        for other in (own_token(server, "eve"), own_token(server, room="other")):
            answer = await self.get(server, other)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_in_room")

    @pytest.mark.parametrize(("token", "code"), [(None, "token_missing"), ("x", "token_malformed")])
    async def test_without_a_good_token_it_is_a_problem(
        self, start: Start, token: str | None, code: str
    ) -> None:
        answer = await self.get(await start(), token)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == code


class TestDevelopmentToken:
    async def ask(self, server: Any, body: Any, **headers: str) -> httpx.Response:
        sent = {"Origin": server.origin, "Content-Type": "application/json", **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer: httpx.Response = await (await server.http()).post(
            "/v1/dev/token",
            content=content,
            headers={name: value for name, value in sent.items() if value},
        )
        return answer

    async def test_the_page_mints_its_own(self, start: Start) -> None:
        server = await start()
        answer = await self.ask(server, {"room": " lobby ", "name": "Ada"})
        body = answer.json()
        claims = server.door.foundations.authenticator.authenticate(body["token"], time.time())
        assert (claims.room, claims.name, claims.identity) == ("lobby", "Ada", body["identity"])
        assert "Ada" not in repr(server.door.foundations)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"x",
            b"[" * 5000,
            [],
            {},
            {"room": "r"},
            {"room": "", "name": "n"},
            {"room": "r", "name": "n" * 129},
            {"room": 1, "name": "n"},
        ],
    )
    async def test_a_request_that_makes_no_sense_is_a_problem(
        self, start: Start, body: Any
    ) -> None:
        answer = await self.ask(await start(), body)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")

    async def test_only_this_servers_page_may_ask(self, start: Start) -> None:
        server = await start()
        wish = {"room": "r", "name": "n"}
        port = server.at.port
        assert (await self.ask(server, wish)).status_code == 200
        for origin in ("", "null", "https://evil.example", f"http://localhost:{port}"):
            answer = await self.ask(server, wish, Origin=origin)
            assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin")
        # a form needs no preflight: its content types are refused
        answer = await self.ask(server, wish, **{"Content-Type": "text/plain"})
        assert (answer.status_code, answer.json()["code"]) == (415, "not_json")

    async def test_a_rebound_name_is_refused_everywhere(self, start: Start) -> None:
        server = await start()
        http = await server.http()
        for path in ("/", "/v1/page/config", "/rtc/validate", "/v1/dev/token"):
            for host in ("evil.example", f"evil.example:{server.at.port}", "localhost:1", ""):
                assert (await http.get(path, headers={"Host": host})).status_code == 421
        with pytest.raises(InvalidStatus) as caught:
            await server.connect(origin="https://evil.example")
        assert caught.value.response.status_code == 403
        assert not server.door.knocks

    async def test_it_does_not_exist_outside_development(self, start: Start) -> None:
        server = await start(production=True)
        answer = await self.ask(server, {"room": "r", "name": "n"})
        assert answer.status_code in (404, 405)
        config = (await (await server.http()).get("/v1/page/config")).json()
        assert config["development"] is False

    async def test_outside_development_any_host_is_served(self, start: Start) -> None:
        http = await (await start(production=True)).http()
        answer = await http.get("/", headers={"Host": "calls.example"})
        assert answer.status_code == 200


class TestBodies:
    @pytest.mark.parametrize("declared", [True, False])
    async def test_one_over_the_cap_is_413(self, start: Start, declared: bool) -> None:
        server = await start()

        async def chunks() -> Any:
            for _ in range(9):
                yield b"x" * 8192

        headers = {"Origin": server.origin, "Content-Type": "application/json"}
        answer = await (await server.http()).post(
            "/v1/dev/token", content=b"x" * 70_000 if declared else chunks(), headers=headers
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    async def test_unknown_routes_below_v1_are_problems(self, start: Start) -> None:
        http = await (await start()).http()
        assert (await http.get("/v1/none")).json()["code"] == "not_found"
        assert (await http.put("/v1/page/config")).json()["code"] == "method_not_allowed"
