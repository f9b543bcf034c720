"""The admin listener: metrics without people, health that tells the truth."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from signaling.domain.errors import Refusal
from signaling.ports import MediaCounters
from signaling.server.metrics import CallCounts, Metrics

Start = Any  # conftest.Start: test modules cannot import one another


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class TestMetrics:
    async def test_both_planes_and_the_doorstep_are_counted(self, start: Start) -> None:
        server = await start()
        await server.connect("/rtc/v1?access_token=abc")
        server.door.refusal = Refusal("token_expired", "No.", status=401)
        with pytest.raises(InvalidStatus):
            await server.connect()
        found = samples((await (await server.admin()).get("/metrics")).text)
        assert found[("conclave_peers",)] == 2
        assert found[("conclave_rooms",)] == 1
        assert found[("conclave_relay_total", "dropped_replay")] == 3
        assert found[("conclave_worker_load", "0")] == 0.25
        assert found[("conclave_worker_peers", "0")] == 2
        assert found[("conclave_worker_peers", "1")] == 0
        assert found[("conclave_negotiated_total", "AEAD_AES_128_GCM", "TLS_X")] == 2
        assert found[("conclave_signalling_unserved_total", "simulate")] == 4
        assert found[("conclave_joins_total", "admitted")] == 1
        assert found[("conclave_joins_total", "token_expired")] == 1
        assert ("conclave_event_loop_delay_seconds_count",) in found

    def test_outcomes_are_bounded(self) -> None:
        metrics = Metrics(MediaCounters, CallCounts)
        for number in range(1000):
            metrics.join(f"code_{number}")
        text = metrics.exposition().decode()
        assert len(re.findall(r"^conclave_joins_total", text, re.MULTILINE)) == 65
        assert samples(text)[("conclave_joins_total", "other")] == 936


class TestHealth:
    async def test_ready_follows_the_media_plane(self, start: Start) -> None:
        server = await start()
        http = await server.admin()
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
        server.working[0] = False
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503

    @pytest.mark.parametrize("path", ["/metrics", "/readyz", "/healthz"])
    async def test_none_of_it_is_on_the_public_listener(self, start: Start, path: str) -> None:
        server = await start()
        assert (await (await server.http()).get(path)).status_code == 404

    async def test_nothing_else_is_served(self, start: Start) -> None:
        http = await (await start()).admin()
        assert (await http.get("/")).status_code == 404
        assert (await http.post("/metrics")).status_code == 405


class TestBearer:
    TOKEN = "t" * 32

    async def test_with_a_token_set_every_path_needs_it(self, start: Start) -> None:
        server = await start(ADMIN__TOKEN=self.TOKEN)
        http = await server.admin()

        async def get(path: str, value: str | None) -> httpx.Response:
            headers = {"Authorization": value} if value is not None else {}
            answer: httpx.Response = await http.get(path, headers=headers)
            return answer

        for path in ("/metrics", "/healthz", "/readyz", "/none"):
            for wrong in (None, "", "Bearer", "Bearer x", self.TOKEN, f"Basic {self.TOKEN}"):
                assert (await get(path, wrong)).status_code == 401
        assert (await get("/metrics", f"Bearer {self.TOKEN}")).status_code == 200


async def test_off_loopback_it_speaks_tls(start: Start) -> None:
    server = await start(
        production=True,
        ADMIN__HOST="0.0.0.0",
        ADMIN__TOKEN=TestBearer.TOKEN,
    )
    plain = await server.admin()
    with pytest.raises(httpx.HTTPError):
        await plain.get("/healthz")
    async with httpx.AsyncClient(verify=server.context) as secure:
        url = f"https://localhost:{server.at.admin_port}/healthz"
        headers = {"Authorization": f"Bearer {TestBearer.TOKEN}"}
        assert (await secure.get(url, headers=headers)).status_code == 200
