"""Limits per address, in virtual time, and who that address is."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from signaling.server.addresses import UNKNOWN, ClientAddresses
from signaling.server.limits import ConnectionCounts, JoinRate

Start = Any  # conftest.Start: test modules cannot import one another


class TestJoinRate:
    def test_a_burst_then_an_even_refill(self) -> None:
        rate = JoinRate(per_minute=6)
        assert [rate.take("a", 0.0) for _ in range(6)] == [0.0] * 6
        assert rate.take("a", 0.0) == pytest.approx(10.0)
        assert rate.take("a", 4.0) == pytest.approx(6.0)
        assert rate.take("a", 10.0) == 0.0
        assert rate.take("a", 10.0) > 0
        assert [rate.take("a", 1000.0) for _ in range(6)] == [0.0] * 6
        assert rate.take("a", 1000.0) > 0

    def test_addresses_do_not_share(self) -> None:
        rate = JoinRate(per_minute=1)
        assert rate.take("a", 0.0) == 0.0
        assert rate.take("a", 0.0) > 0
        assert rate.take("b", 0.0) == 0.0

    def test_zero_lifts_the_limit(self) -> None:
        rate = JoinRate(per_minute=0)
        assert all(rate.take("a", 0.0) == 0.0 for _ in range(1000))

    def test_a_clock_that_stands_still_or_goes_back_gives_nothing(self) -> None:
        rate = JoinRate(per_minute=1)
        assert rate.take("a", 100.0) == 0.0
        assert rate.take("a", 40.0) > 0

    def test_the_table_is_bounded_and_forgets_the_stalest(self) -> None:
        rate = JoinRate(per_minute=1, max_addresses=3)
        for address in ("a", "b", "c"):
            assert rate.take(address, 0.0) == 0.0
        assert rate.take("a", 0.0) > 0  # touched: b is the stalest now
        assert rate.take("d", 0.0) == 0.0
        assert rate.take("a", 0.0) > 0
        assert rate.take("b", 0.0) == 0.0  # forgotten


def test_connection_counts_give_back_and_forget() -> None:
    counts = ConnectionCounts(2)
    assert counts.enter("a")
    assert counts.enter("a")
    assert not counts.enter("a")
    assert counts.enter("b")
    counts.leave("a")
    assert counts.enter("a")


def scope(peer: str | None, **headers: str | list[str]) -> dict[str, Any]:
    raw = [
        (name.replace("_", "-").encode(), value.encode())
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return {"type": "http", "client": (peer, 1) if peer else None, "headers": raw}


class TestWhoTheClientIs:
    PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))

    def of(self, given: dict[str, Any], header: str = "x-forwarded-for") -> str:
        return ClientAddresses(self.PROXIES, header).of(given)

    def test_a_stranger_is_its_socket_whatever_it_writes(self) -> None:
        assert self.of(scope("192.0.2.1", x_forwarded_for="203.0.113.9")) == "192.0.2.1"

    def test_a_proxy_speaks_for_its_client(self) -> None:
        assert self.of(scope("10.0.0.1", x_forwarded_for="203.0.113.9")) == "203.0.113.9"

    def test_what_the_client_wrote_left_of_the_proxys_word_is_ignored(self) -> None:
        spoofed = scope("10.0.0.1", x_forwarded_for="1.1.1.1, 203.0.113.9, 10.0.0.2")
        assert self.of(spoofed) == "203.0.113.9"
        two_lines = scope("10.0.0.1", x_forwarded_for=["1.1.1.1", "203.0.113.9"])
        assert self.of(two_lines) == "203.0.113.9"

    def test_the_other_header_is_never_read(self) -> None:
        given = scope("10.0.0.1", x_forwarded_for="203.0.113.9", forwarded="for=1.1.1.1")
        assert self.of(given) == "203.0.113.9"
        assert self.of(given, "forwarded") == "1.1.1.1"

    @pytest.mark.parametrize(
        "value",
        [
            "for=203.0.113.9",
            'for="203.0.113.9:4711";proto=https',
            "For=1.1.1.1, for=203.0.113.9",
        ],
    )
    def test_forwarded_of_rfc_7239(self, value: str) -> None:
        assert self.of(scope("10.0.0.1", forwarded=value), "forwarded") == "203.0.113.9"

    def test_ipv6_counts_by_64(self) -> None:
        assert self.of(scope("2001:db8:1:2:3::4")) == self.of(scope("2001:db8:1:2:ffff::1"))
        assert self.of(scope("2001:db8:1:2::1")) != self.of(scope("2001:db8:1:3::1"))
        quoted = scope("fd00::1", forwarded='for="[2001:db8:1:2::9]:4711"')
        assert self.of(quoted, "forwarded") == "2001:db8:1:2::/64"

    def test_ipv4_in_ipv6_is_ipv4(self) -> None:
        assert self.of(scope("::ffff:192.0.2.1")) == "192.0.2.1"
        assert self.of(scope("::ffff:10.0.0.1", x_forwarded_for="192.0.2.7")) == "192.0.2.7"

    @pytest.mark.parametrize("value", ["unknown", "_hidden", "", "999.1.1.1", "for"])
    def test_a_proxy_that_says_nothing_useful_shares_one_bucket(self, value: str) -> None:
        assert self.of(scope("10.0.0.1", x_forwarded_for=value)) == UNKNOWN

    def test_no_socket_address_at_all(self) -> None:
        assert self.of(scope(None)) == UNKNOWN


class TestJoinLimitFromOutside:
    async def test_one_join_too_many_is_429_with_a_time_to_wait(self, start: Start) -> None:
        server = await start(LIMITS__JOINS_PER_MINUTE="2")
        await server.connect()
        await server.connect()
        with pytest.raises(InvalidStatus) as caught:
            await server.connect()
        response = caught.value.response
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) in range(20, 31)
        assert bytes(response.body) == b"Too many joins from here; wait a moment."
        assert response.headers["access-control-allow-origin"] == "*"
        assert len(server.door.knocks) == 2
        answer = await (await server.http()).get("/rtc/validate")
        assert answer.status_code == 429
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (await (await server.http()).get("/v1/page/config")).status_code == 200

    async def test_behind_a_trusted_proxy_clients_are_told_apart(self, start: Start) -> None:
        server = await start(LIMITS__JOINS_PER_MINUTE="1", LISTEN__TRUSTED_PROXIES="127.0.0.1,::1")
        http = await server.http()
        statuses = [
            (await http.get("/rtc/validate", headers={"X-Forwarded-For": client})).status_code
            for client in ("203.0.113.1", "203.0.113.2", "203.0.113.1")
        ]
        assert statuses == [200, 200, 429]

    async def test_a_stranger_cannot_invent_addresses(self, start: Start) -> None:
        server = await start(LIMITS__JOINS_PER_MINUTE="1")
        http = await server.http()
        statuses = [
            (await http.get("/rtc/validate", headers={"X-Forwarded-For": client})).status_code
            for client in ("203.0.113.1", "203.0.113.2")
        ]
        assert statuses == [200, 429]

    async def test_websockets_behind_a_proxy_are_counted_by_client(self, start: Start) -> None:
        server = await start(
            LIMITS__CONNECTIONS_PER_ADDRESS="1", LISTEN__TRUSTED_PROXIES="127.0.0.1,::1"
        )
        mine = {"X-Forwarded-For": "203.0.113.1"}
        first = await server.connect(additional_headers=mine)
        with pytest.raises(InvalidStatus) as caught:
            await server.connect(additional_headers=mine)
        assert caught.value.response.status_code == 429
        await server.connect(additional_headers={"X-Forwarded-For": "203.0.113.2"})
        await first.close()
        await server.door.until_ended(1)
        await server.connect(additional_headers=mine)
