"""LiveKit tokens: ours and livekit-api's agree, and every forgery has its own refusal."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from livekit.api import AccessToken, TokenVerifier, VideoGrants

from signaling.domain.errors import Refusal
from signaling.domain.grants import TrackSource
from signaling.identity.livekit_token import MAX_TOKEN_BYTES, ApiKey, LiveKitTokens, mint

KEY = "APItest"
SECRET = b"a secret of thirty-two bytes or more"
NOW = 1_800_000_000.0


@pytest.fixture
def tokens() -> LiveKitTokens:
    return LiveKitTokens({KEY: ApiKey(SECRET), "APIother": ApiKey(b"another secret" * 3)})


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(
    payload: object,
    *,
    header: object = None,
    secret: bytes = SECRET,
    digest: str = "sha256",
) -> str:
    head = segment({"alg": "HS256", "typ": "JWT"} if header is None else header)
    signed = f"{head}.{segment(payload)}"
    return f"{signed}.{segment(hmac.digest(secret, signed.encode(), digest))}"


def payload(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "iss": KEY,
        "sub": "ada",
        "nbf": NOW - 10,
        "exp": NOW + 600,
        "video": {"roomJoin": True, "room": "lobby"},
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def video(**grants: Any) -> dict[str, Any]:
    return payload(video={"roomJoin": True, "room": "lobby", **grants})


def refused(tokens: LiveKitTokens, token: str, now: float = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        tokens.authenticate(token, now)
    assert caught.value.status == 401
    assert caught.value.sentence.endswith(".")
    return caught.value


class TestOracle:
    def test_a_token_of_livekit_api_is_accepted_with_all_it_says(
        self, tokens: LiveKitTokens
    ) -> None:
        token = (
            AccessToken(KEY, SECRET.decode())
            .with_identity("ada")
            .with_name("Ada L.")
            .with_metadata("{}")
            .with_attributes({"team": "engine"})
            .with_kind("agent")
            .with_ttl(datetime.timedelta(hours=1))
            .with_grants(
                VideoGrants(
                    room_join=True,
                    room="lobby",
                    can_publish=True,
                    can_subscribe=False,
                    can_publish_data=False,
                    can_publish_sources=["microphone", "screen_share"],
                    hidden=True,
                    can_update_own_metadata=True,
                )
            )
            .to_jwt()
        )
        claims = tokens.authenticate(token, time.time())
        assert (claims.api_key, claims.identity, claims.room) == (KEY, "ada", "lobby")
        assert (claims.name, claims.metadata, claims.kind) == ("Ada L.", "{}", "agent")
        assert claims.attributes == (("team", "engine"),)
        assert claims.can_publish
        assert not claims.can_subscribe
        assert not claims.can_publish_data
        assert claims.hidden
        assert claims.can_update_own_metadata
        assert claims.can_publish_sources == {TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE}
        assert claims.not_after - time.time() == pytest.approx(3600, abs=5)

    def test_our_token_is_accepted_by_livekit_api(self) -> None:
        token = mint(
            KEY,
            SECRET,
            identity="ada",
            room="lobby",
            now=time.time(),
            ttl=60,
            name="Ada",
            can_subscribe=False,
            sources=[TrackSource.CAMERA],
            hidden=True,
        )
        claims = TokenVerifier(KEY, SECRET.decode()).verify(token)
        assert (claims.identity, claims.name) == ("ada", "Ada")
        assert claims.video is not None
        assert claims.video.room == "lobby"
        assert claims.video.room_join
        assert claims.video.can_publish
        assert not claims.video.can_subscribe
        assert claims.video.can_publish_sources == ["camera"]
        assert claims.video.hidden

    def test_our_token_is_accepted_by_us(self, tokens: LiveKitTokens) -> None:
        token = mint(KEY, SECRET, identity="ada", room="lobby", now=NOW, ttl=60)
        assert tokens.authenticate(token, NOW).identity == "ada"


class TestMeaningOfWhatIsAbsent:
    def test_absent_grants_are_a_yes_and_absent_privileges_a_no(
        self, tokens: LiveKitTokens
    ) -> None:
        claims = tokens.authenticate(forge(payload()), NOW)
        assert claims.can_publish
        assert claims.can_subscribe
        assert claims.can_publish_data
        assert claims.can_publish_sources == frozenset()
        assert not claims.hidden
        assert not claims.can_update_own_metadata
        assert claims.kind == "standard"

    def test_data_follows_publishing_when_it_is_not_named(self, tokens: LiveKitTokens) -> None:
        assert not tokens.authenticate(forge(video(canPublish=False)), NOW).can_publish_data
        both = forge(video(canPublish=False, canPublishData=True))
        assert tokens.authenticate(both, NOW).can_publish_data

    def test_identity_falls_back_to_jti(self, tokens: LiveKitTokens) -> None:
        assert tokens.authenticate(forge(payload(sub=..., jti="j1")), NOW).identity == "j1"

    def test_an_unknown_source_never_widens_to_every_source(self, tokens: LiveKitTokens) -> None:
        claims = tokens.authenticate(forge(video(canPublishSources=["hologram"])), NOW)
        assert claims.can_publish_sources == {TrackSource.UNKNOWN}


class TestForgeries:
    def test_no_token(self, tokens: LiveKitTokens) -> None:
        assert refused(tokens, "").code == "token_missing"

    @pytest.mark.parametrize(
        "token",
        [
            "x",
            "a.b",
            "a.b.c.d",
            "é.é.é",
            "!.!.!",
            f"{segment([])}.{segment({})}.",
            f"{segment({'alg': 'HS256'})}.{segment(b'[' * 9000)}.",
            f"{segment({'alg': 'HS256'})}.{segment(b'1' * 9000)}.",
            "a" * (MAX_TOKEN_BYTES + 1),
        ],
    )
    def test_what_is_not_a_jwt(self, tokens: LiveKitTokens, token: str) -> None:
        assert refused(tokens, token).code == "token_malformed"

    @pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "HS512", "RS256", None, 1])
    def test_another_algorithm(self, tokens: LiveKitTokens, algorithm: object) -> None:
        for token in (
            forge(payload(), header={"alg": algorithm}),
            f"{segment({'alg': algorithm})}.{segment(payload())}.",
        ):
            assert refused(tokens, token).code == "token_algorithm"

    def test_a_header_that_demands_an_extension_we_do_not_know(self, tokens: LiveKitTokens) -> None:
        header = {"alg": "HS256", "crit": ["x-law"], "x-law": 1}
        assert refused(tokens, forge(payload(), header=header)).code == "token_signature"

    @pytest.mark.parametrize("issuer", ["APIunknown", "", None, 7, ["APItest"]])
    def test_an_unknown_key(self, tokens: LiveKitTokens, issuer: object) -> None:
        assert refused(tokens, forge(payload(iss=issuer))).code == "token_unknown_key"

    def test_a_wrong_signature(self, tokens: LiveKitTokens) -> None:
        good = forge(payload())
        assert tokens.authenticate(good, NOW)
        head, body, signature = good.split(".")
        for bad in (
            forge(payload(), secret=b"not the secret"),
            forge(payload(), digest="sha384"),
            f"{head}.{body}.",
            f"{head}.{segment(payload(sub='eve'))}.{signature}",
            # signed by one key, claiming another
            forge(payload(iss="APIother")),
        ):
            assert refused(tokens, bad).code == "token_signature"

    def test_expiry_with_a_minute_of_leeway(self, tokens: LiveKitTokens) -> None:
        token = forge(payload(exp=NOW))
        assert tokens.authenticate(token, NOW + 59)
        assert refused(tokens, token, NOW + 60).code == "token_expired"

    def test_not_before_with_a_minute_of_leeway(self, tokens: LiveKitTokens) -> None:
        token = forge(payload(nbf=NOW))
        assert tokens.authenticate(token, NOW - 60)
        assert refused(tokens, token, NOW - 61).code == "token_not_yet"

    @pytest.mark.parametrize("expiry", [..., "soon", True, None])
    def test_an_expiry_is_required_and_is_a_number(
        self, tokens: LiveKitTokens, expiry: object
    ) -> None:
        assert refused(tokens, forge(payload(exp=expiry))).code == "token_malformed"

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "1" + "0" * 400, "1e999"])
    def test_an_expiry_outside_time(self, tokens: LiveKitTokens, number: str) -> None:
        raw = json.dumps(payload(exp=1)).replace('"exp": 1', f'"exp": {number}').encode()
        assert refused(tokens, forge(raw)).code == "token_malformed"

    def test_a_lifetime_over_the_keys_cap(self) -> None:
        tokens = LiveKitTokens({KEY: ApiKey(SECRET, max_lifetime=3600)})
        assert tokens.authenticate(forge(payload(nbf=NOW, exp=NOW + 3600)), NOW)
        for long_lived in (
            payload(nbf=NOW, exp=NOW + 3601),
            payload(nbf=..., iat=NOW, exp=NOW + 3601),
            payload(nbf=..., exp=NOW + 3601),
        ):
            assert refused(tokens, forge(long_lived)).code == "token_too_long_lived"

    @pytest.mark.parametrize(
        "grants",
        [
            ...,
            None,
            {},
            {"room": "lobby"},
            {"roomJoin": False, "room": "lobby"},
            {"roomJoin": True},
            {"roomJoin": True, "room": ""},
        ],
    )
    def test_no_right_to_join_a_room(self, tokens: LiveKitTokens, grants: object) -> None:
        assert refused(tokens, forge(payload(video=grants))).code == "token_no_join"

    @pytest.mark.parametrize(
        "bad",
        [
            payload(sub=...),
            payload(sub=5),
            payload(sub="x" * 257),
            payload(name=["x"]),
            payload(video="all of it"),
            payload(attributes={"a": 1}),
            video(canPublish="false"),
            video(hidden=1),
            video(canPublishSources="camera"),
            video(room="x" * 257),
        ],
    )
    def test_claims_of_the_wrong_type_or_size(
        self, tokens: LiveKitTokens, bad: dict[str, Any]
    ) -> None:
        assert refused(tokens, forge(bad)).code == "token_malformed"


def test_a_secret_is_never_printed() -> None:
    assert "thirty-two" not in repr(ApiKey(SECRET))


@pytest.mark.parametrize(
    "change", [{"identity": ""}, {"room": ""}, {"ttl": 0}], ids=["identity", "room", "ttl"]
)
def test_minting_refuses_what_the_door_would(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="token"):
        mint(KEY, SECRET, **{"identity": "a", "room": "r", "now": NOW, "ttl": 60, **change})


def test_the_hash_is_the_one_the_standard_names() -> None:
    # RFC 7518 3.1: HS256 is HMAC with SHA-256; guards the engine beneath against a swap
    token = mint(KEY, SECRET, identity="a", room="r", now=NOW, ttl=60)
    signed, _, signature = token.rpartition(".")
    assert signature == segment(hmac.new(SECRET, signed.encode(), hashlib.sha256).digest())
