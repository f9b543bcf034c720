"""WHIP and WHEP from outside: every verb, header and status, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from signaling.domain.errors import Refusal
from signaling.domain.grants import TrackSource
from signaling.whip.door import Endpoint, Resource, Wish

Start = Any  # conftest.Start: test modules cannot import one another

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
BEARER = {"Authorization": "Bearer abc"}
SESSION = "/whip/hall/secret-session"
AT = Resource(Endpoint.WHIP, "hall", "secret-session")
DOORS = pytest.mark.parametrize("door", ["whip", "whep"])


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an RFC 9457 problem; the document is whole."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.text)
    assert body["status"] == answer.status_code
    assert body["title"].endswith(".")
    return answer.status_code, body["code"]


async def post(http: httpx.AsyncClient, path: str, **options: Any) -> httpx.Response:
    options = {"content": "v=0 offer", "headers": {}} | options
    options["headers"] = {"Content-Type": SDP} | BEARER | options["headers"]
    return await http.post(path, **options)


class TestPost:
    @DOORS
    async def test_an_offer_is_answered_with_a_place_and_a_tag(
        self, start: Start, door: str
    ) -> None:
        server = await start()
        answer = await post(await server.http(), f"/{door}/hall")
        assert answer.status_code == 201
        assert answer.text == "v=0 answer"
        assert answer.headers["content-type"] == SDP
        assert answer.headers["location"] == f"/{door}/hall/secret-session"
        assert answer.headers["etag"] == '"tag-1"'
        assert answer.headers["accept-patch"] == FRAGMENT
        assert answer.headers["cache-control"] == "no-store"
        endpoint = Endpoint(door)
        assert server.resources.asked == [
            ("admit", endpoint, "hall", "abc"),
            ("create", endpoint, "hall", "abc", "v=0 offer", Wish()),
        ]

    async def test_a_room_may_have_any_name_and_the_location_leads_back(self, start: Start) -> None:
        server = await start()
        http = await server.http()
        answer = await post(http, "/whip/a%2Fb%20%C3%A9")
        location = answer.headers["location"]
        assert location == "/whip/a%2Fb%20%C3%A9/secret-session"
        await http.delete(location, headers=BEARER)
        resource = Resource(Endpoint.WHIP, "a/b é", "secret-session")
        assert server.resources.asked[-1] == ("delete", resource, "abc")

    async def test_what_the_query_wishes_reaches_the_door(self, start: Start) -> None:
        server = await start()
        http = await server.http()
        await post(http, "/whip/hall?source=screen_share")
        assert server.resources.asked[-1][-1] == Wish(source=TrackSource.SCREEN_SHARE)
        await post(http, "/whep/hall?participant=ada&track=TR_1&track=TR_2&track=TR_1")
        assert server.resources.asked[-1][-1] == Wish(participant="ada", tracks=("TR_1", "TR_2"))

    @pytest.mark.parametrize(
        "path", ["/whip/hall?source=microphone", "/whep/hall?track=1&track=2&track=3"]
    )
    async def test_a_wish_that_makes_no_sense_is_400(self, start: Start, path: str) -> None:
        server = await start()
        assert problem(await post(await server.http(), path)) == (400, "query_malformed")

    @pytest.mark.parametrize("given", ["", "text/plain", FRAGMENT, "application/sdpx"])
    async def test_another_media_type_is_415_and_the_right_one_is_named(
        self, start: Start, given: str
    ) -> None:
        server = await start()
        answer = await post(await server.http(), "/whip/hall", headers={"Content-Type": given})
        assert problem(answer) == (415, "wrong_media_type")
        assert answer.headers["accept-post"] == SDP

    async def test_a_media_type_with_parameters_is_taken(self, start: Start) -> None:
        server = await start()
        headers = {"Content-Type": "Application/SDP; charset=utf-8"}
        answer = await post(await server.http(), "/whip/hall", headers=headers)
        assert answer.status_code == 201

    async def test_a_body_that_is_no_text_is_400(self, start: Start) -> None:
        server = await start()
        answer = await post(await server.http(), "/whip/hall", content=b"v=0\xff")
        assert problem(answer) == (400, "body_malformed")

    @pytest.mark.parametrize("declared", [True, False])
    async def test_a_megabyte_is_413_and_never_reaches_the_door(
        self, start: Start, declared: bool
    ) -> None:
        server = await start()

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield b"x" * 16_384

        content = b"x" * 1_048_576 if declared else chunks()
        answer = await post(await server.http(), "/whip/hall", content=content)
        assert problem(answer) == (413, "body_too_large")
        assert [asked[0] for asked in server.resources.asked] in ([], ["admit"])

    async def test_a_body_that_does_not_come_is_408(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("signaling.server.whip.BODY_DEADLINE", 0.05)
        server = await start(plaintext=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.at.port)
        head = (
            f"POST /whip/hall HTTP/1.1\r\nHost: localhost:{server.at.port}\r\n"
            f"Authorization: Bearer abc\r\nContent-Type: {SDP}\r\nContent-Length: 10\r\n\r\nv=0"
        )
        writer.write(head.encode())
        status = await reader.readline()
        writer.close()
        assert status.startswith(b"HTTP/1.1 408 ")

    async def test_the_bearer_is_judged_before_the_body(self, start: Start) -> None:
        server = await start()
        server.resources.refusal = Refusal("token_expired", "The token has expired.", status=401)
        answer = await post(await server.http(), "/whip/hall", content=b"x" * 60_000)
        assert problem(answer) == (401, "token_expired")
        assert [asked[0] for asked in server.resources.asked] == ["admit"]
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    @pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer", "abc"])
    async def test_without_a_bearer_the_door_gets_no_token(
        self, start: Start, authorization: str | None
    ) -> None:
        server = await start()
        server.resources.refusal = Refusal("token_missing", "A token is needed.", status=401)
        headers = {"Content-Type": SDP}
        if authorization is not None:
            headers["Authorization"] = authorization
        http = await server.http()
        answer = await http.post("/whip/hall?access_token=abc", content="v=0", headers=headers)
        assert problem(answer) == (401, "token_missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert server.resources.asked == [("admit", Endpoint.WHIP, "hall", "")]

    @pytest.mark.parametrize("status", [403, 404, 409, 422, 500, 503])
    async def test_what_the_door_refuses_is_told_with_its_status(
        self, start: Start, status: int
    ) -> None:
        server = await start()
        server.resources.refusal = Refusal("the_code", "Not so.", status=status)
        answer = await post(await server.http(), "/whep/hall")
        assert problem(answer) == (status, "the_code")
        assert ("retry-after" in answer.headers) == (status == 503)

    async def test_outcomes_are_counted_with_the_other_joins(self, start: Start) -> None:
        server = await start()
        http = await server.http()
        await post(http, "/whip/hall")
        server.resources.refusal = Refusal("room_full", "Full.", status=503)
        await post(http, "/whip/hall")
        text = (await (await server.admin()).get("/metrics")).text
        assert 'conclave_joins_total{outcome="admitted"} 1.0' in text
        assert 'conclave_joins_total{outcome="room_full"} 1.0' in text
        assert 'conclave_resources{door="whip"} 0.0' in text

    async def test_joins_here_and_on_websockets_share_one_ration(self, start: Start) -> None:
        server = await start(LIMITS__JOINS_PER_MINUTE="2")
        http = await server.http()
        assert (await post(http, "/whip/hall")).status_code == 201
        assert (await http.get("/rtc/validate")).status_code == 200
        answer = await post(http, "/whep/hall")
        assert problem(answer) == (429, "too_many_joins")
        assert int(answer.headers["retry-after"]) > 0
        assert (await http.delete(SESSION, headers=BEARER)).status_code == 200

    async def test_our_own_failure_is_a_500_without_details(self, start: Start) -> None:
        server = await start()
        server.resources.refusal = RuntimeError("hunter2")
        answer = await post(await server.http(), "/whip/hall")
        assert problem(answer) == (500, "internal")
        assert "hunter2" not in answer.text + server.log.getvalue()
        assert "RuntimeError" in server.log.getvalue()


class TestPatch:
    async def patch(self, server: Any, **headers: str) -> httpx.Response:
        http = await server.http()
        given = {"Content-Type": FRAGMENT, "If-Match": '"tag-1"'} | BEARER | headers
        answer: httpx.Response = await http.patch(SESSION, content="a=candidate", headers=given)
        return answer

    async def test_candidates_are_204_without_body_or_tag(self, start: Start) -> None:
        server = await start()
        answer = await self.patch(server)
        assert (answer.status_code, answer.content) == (204, b"")
        assert "etag" not in answer.headers
        assert server.resources.asked == [
            ("admit_to", AT, "abc"),
            ("patch", AT, "abc", '"tag-1"', "a=candidate"),
        ]

    async def test_a_restart_is_200_with_our_fragment_and_a_new_tag(self, start: Start) -> None:
        server = await start()
        server.resources.restarts = True
        answer = await self.patch(server, **{"If-Match": "*"})
        assert (answer.status_code, answer.text) == (200, "a=ice-ufrag:ours")
        assert answer.headers["content-type"] == FRAGMENT
        assert answer.headers["etag"] == '"tag-2"'

    async def test_another_media_type_is_415_and_the_right_one_is_named(self, start: Start) -> None:
        server = await start()
        answer = await self.patch(server, **{"Content-Type": SDP})
        assert problem(answer) == (415, "wrong_media_type")
        assert answer.headers["accept-patch"] == FRAGMENT

    async def test_without_if_match_the_door_is_told_so(self, start: Start) -> None:
        server = await start()
        http = await server.http()
        await http.patch(SESSION, content="a", headers={"Content-Type": FRAGMENT} | BEARER)
        assert server.resources.asked[-1] == ("patch", AT, "abc", None, "a")

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 428, 429])
    async def test_what_the_door_refuses_is_told_with_its_status(
        self, start: Start, status: int
    ) -> None:
        server = await start()
        server.resources.refusal = Refusal("the_code", "Not so.", status=status)
        assert problem(await self.patch(server)) == (status, "the_code")


class TestDelete:
    async def test_it_is_200_whatever_tag_is_sent(self, start: Start) -> None:
        server = await start()
        http = await server.http()
        answer = await http.delete(SESSION, headers=BEARER | {"If-Match": '"stale"'})
        assert (answer.status_code, answer.content) == (200, b"")
        assert server.resources.asked == [("delete", AT, "abc")]

    async def test_what_the_door_refuses_is_told_with_its_status(self, start: Start) -> None:
        server = await start()
        server.resources.refusal = Refusal("not_your_session", "No.", status=403)
        answer = await (await server.http()).delete(SESSION, headers=BEARER)
        assert problem(answer) == (403, "not_your_session")


class TestOtherVerbs:
    @pytest.mark.parametrize("path", ["/whip/hall", "/whep/hall", SESSION])
    async def test_get_has_nothing_to_show_and_says_so(self, start: Start, path: str) -> None:
        """RFC 9725 section 4.1."""
        server = await start()
        http = await server.http()
        for method in ("GET", "HEAD"):
            answer = await http.request(method, path, headers=BEARER)
            assert (answer.status_code, answer.content) == (204, b"")
        server.resources.refusal = Refusal("token_missing", "A token is needed.", status=401)
        assert problem(await http.get(path)) == (401, "token_missing")

    @pytest.mark.parametrize(
        ("path", "method", "allowed"),
        [
            ("/whip/hall", "PUT", "OPTIONS, GET, HEAD, POST"),
            ("/whip/hall", "PATCH", "OPTIONS, GET, HEAD, POST"),
            ("/whep/hall", "DELETE", "OPTIONS, GET, HEAD, POST"),
            (SESSION, "PUT", "OPTIONS, GET, HEAD, PATCH, DELETE"),
            (SESSION, "POST", "OPTIONS, GET, HEAD, PATCH, DELETE"),
        ],
    )
    async def test_any_other_is_405_and_names_those_that_are_served(
        self, start: Start, path: str, method: str, allowed: str
    ) -> None:
        server = await start()
        answer = await (await server.http()).request(method, path, headers=BEARER)
        assert problem(answer) == (405, "method_not_allowed")
        assert answer.headers["allow"] == allowed

    @pytest.mark.parametrize(
        "path",
        ["/whip/", "/whep/", "/whip/hall/session/more", "/whip//", "/whip/%FF", "/whip/hall/%FF"],
    )
    async def test_a_path_that_names_no_room_is_404(self, start: Start, path: str) -> None:
        server = await start()
        assert problem(await post(await server.http(), path)) == (404, "not_found")


class TestCors:
    @pytest.mark.parametrize(
        ("path", "accepts"),
        [("/whip/hall", ("accept-post", SDP)), (SESSION, ("accept-patch", FRAGMENT))],
    )
    async def test_a_preflight_names_what_is_served_and_needs_no_bearer(
        self, start: Start, path: str, accepts: tuple[str, str]
    ) -> None:
        server = await start()
        answer = await (await server.http()).options(path)
        assert answer.status_code == 200
        name, value = accepts
        assert answer.headers[name] == value
        assert "PATCH" in answer.headers["access-control-allow-methods"]
        assert "If-Match" in answer.headers["access-control-allow-headers"]
        assert server.resources.asked == []

    async def test_pages_anywhere_may_read_answers_and_errors(self, start: Start) -> None:
        server = await start()
        http = await server.http()
        created = await post(http, "/whip/hall")
        missing = await http.put("/whip/hall")
        for answer in (created, missing):
            assert answer.headers["access-control-allow-origin"] == "*"
            exposed = answer.headers["access-control-expose-headers"]
            assert {"Location", "ETag", "Link"} <= set(exposed.split(", "))


async def test_a_server_that_stops_lets_nobody_in(start: Start) -> None:
    server = await start()
    server.application.stop()
    await server.task
    assert server.resources.is_shut
