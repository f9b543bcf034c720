"""What is read from the two URLs, and what is refused there."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from signaling.domain.errors import Refusal
from signaling.livekit.door import Knock
from signaling.livekit.knock import MAX_INFLATED, decode_join_request, parse_knock
from tests.unit.signaling.livekit.visitors import wrap

REQUEST = rtc.JoinRequest(
    client_info=models.ClientInfo(protocol=17, client_protocol=2),
    connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
    publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0", id=7),
)
# One capability is known, one is from the future: enums on the wire are open.
REQUEST.client_info.MergeFromString(b"\x6a\x02\x01\x63")


def packed(payload: bytes, compression: int = 1) -> str:
    wrapped = rtc.WrappedJoinRequest(join_request=payload)
    wrapped.compression = compression  # type: ignore[assignment]  # also unknown ones
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def refused(knock: Knock) -> tuple[str, int]:
    with pytest.raises(Refusal) as refusal:
        parse_knock(knock)
    return refusal.value.code, refusal.value.status


def test_a_join_request_is_unwrapped() -> None:
    wish = parse_knock(Knock("/rtc/v1", {"join_request": wrap(REQUEST)}, "Bearer secret"))
    assert not wish.request.dual
    assert wish.request.auto_subscribe
    assert wish.request.client.protocol == 17
    assert wish.request.client.capabilities == ("CAP_PACKET_TRAILER",)
    assert wish.offer is not None
    assert (wish.offer.sdp, wish.offer.id) == ("v=0", 7)
    assert "secret" not in repr(wish)


@pytest.mark.parametrize("path", ["/rtc/v1", "/rtc/v1/validate", "//rtc/v1", "/rtc"])
def test_a_join_request_means_one_peer_connection_on_every_path(path: str) -> None:
    knock = Knock(path, {"join_request": wrap(REQUEST).rstrip("="), "access_token": "t"}, None)
    assert not parse_knock(knock).request.dual


def test_the_header_wins_over_the_query() -> None:
    knock = Knock("/rtc", {"access_token": "query"}, "Bearer header")
    assert parse_knock(knock).token == "header"


def test_the_flat_query_subscribes_unless_told_otherwise() -> None:
    attributes = base64.urlsafe_b64encode(json.dumps({"role": "host"}).encode()).decode()
    query = {"access_token": "t", "protocol": "16", "attributes": attributes}
    wish = parse_knock(Knock("/rtc/validate", query, None))
    assert wish.request.dual
    assert wish.request.auto_subscribe
    assert wish.request.client.protocol == 16
    assert wish.request.attributes == (("role", "host"),)
    assert not parse_knock(
        Knock("/rtc", {**query, "auto_subscribe": "0"}, None)
    ).request.auto_subscribe
    assert parse_knock(Knock("/rtc", {**query, "reconnect": "1"}, None)).reconnect


@pytest.mark.parametrize(
    ("query", "authorization", "expected"),
    [
        ({}, None, ("token_missing", 401)),
        ({}, "Basic abc", ("token_malformed", 401)),
        ({"access_token": "t"}, "bearer", ("token_malformed", 401)),
        ({"access_token": "t"}, None, ("join_request_missing", 400)),
        ({"access_token": "t", "join_request": "%%%"}, None, ("join_request_malformed", 400)),
        ({"access_token": "t", "join_request": "é"}, None, ("join_request_malformed", 400)),
        ({"access_token": "t", "join_request": "A"}, None, ("join_request_malformed", 400)),
    ],
)
def test_what_is_missing_or_unreadable_is_named(
    query: dict[str, str], authorization: str | None, expected: tuple[str, int]
) -> None:
    assert refused(Knock("/rtc/v1", query, authorization)) == expected


@pytest.mark.parametrize("field", ["protocol=x", "protocol=99999999999", "auto_subscribe=maybe"])
def test_a_nonsense_query_is_refused(field: str) -> None:
    name, value = field.split("=")
    knock = Knock("/rtc", {"access_token": "t", name: value}, None)
    assert refused(knock) == ("query_malformed", 400)


def test_another_path_is_not_found() -> None:
    assert refused(Knock("/rtc/v2", {"access_token": "t"}, None)) == ("path_unknown", 404)


def test_a_gzip_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    assert len(zlib.decompress(bomb, 31)) == 100 * 1024 * 1024  # the attack works elsewhere
    with pytest.raises(Refusal) as refusal:
        decode_join_request(packed(bomb))
    assert refusal.value.code == "join_request_too_large"


def test_a_request_of_just_the_limit_passes() -> None:
    request = rtc.JoinRequest(metadata="m" * (MAX_INFLATED - 4))
    assert len(request.SerializeToString()) == MAX_INFLATED
    assert decode_join_request(wrap(request)) == request


def test_truncated_gzip_and_unknown_compression_are_refused() -> None:
    whole = gzip.compress(REQUEST.SerializeToString())
    for encoded in (packed(whole[:-9]), packed(whole, compression=5), packed(b"\xff\xff", 0)):
        with pytest.raises(Refusal, match="join request"):
            decode_join_request(encoded)


@given(st.text(max_size=200))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    with contextlib.suppress(Refusal):
        parse_knock(Knock("/rtc/v1", {"access_token": "t", "join_request": text}, None))
