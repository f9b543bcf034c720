"""Commands refuse what cannot be right when they are made, and tell nobody their secrets."""

from collections.abc import Callable

import pytest

from sfu import _relay
from sfu._relay import Relay

UFRAG, PASSWORD = "canary-ufrag", "canary-password-of-22-chars"
KEY, SALT = b"canary-key-16byt", b"canary-salt1"


def add_track(**changed: object) -> _relay.AddTrack:
    fields: dict[str, object] = {
        "track": 1,
        "peer": 2,
        "kind": "video",
        "mid": "0",
        "clock_rate": 90_000,
        "formats": [(96, "vp8")],
        "extensions": [(4, "urn:ietf:params:rtp-hdrext:sdes:mid"), (9, "urn:unknown")],
        "encodings": ["q", "h", 7, None],
    }
    return _relay.AddTrack(**{**fields, **changed})  # type: ignore[arg-type] # that is the test


def install_keys(**changed: object) -> _relay.InstallKeys:
    fields: dict[str, object] = {
        "peer": 1,
        "profile": "AEAD_AES_128_GCM",
        "local_key": KEY,
        "local_salt": SALT,
        "remote_key": KEY,
        "remote_salt": SALT,
    }
    return _relay.InstallKeys(**{**fields, **changed})  # type: ignore[arg-type] # as above


def restart_ice(**changed: str) -> _relay.RestartIce:
    fields = {
        "ufrag": UFRAG,
        "password": PASSWORD,
        "remote_ufrag": UFRAG,
        "remote_password": PASSWORD,
    }
    return _relay.RestartIce(peer=1, **{**fields, **changed})


def test_no_secret_is_ever_shown() -> None:
    secrets = [
        _relay.OpenPeer(peer=1, ufrag=UFRAG, password=PASSWORD),
        _relay.SetRemoteIce(peer=1, ufrag=UFRAG, password=PASSWORD),
        restart_ice(),
        install_keys(),
        _relay.SendDtls(peer=1, datagrams=[b"canary"]),
    ]
    for secret in secrets:
        assert "peer=1" in repr(secret)
        assert "canary" not in repr(secret) + str(secret) + repr(dir(secret))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: _relay.OpenPeer(peer=1, ufrag="abc", password=PASSWORD),
        lambda: _relay.OpenPeer(peer=1, ufrag="a:bcd", password=PASSWORD),
        lambda: _relay.OpenPeer(peer=1, ufrag=UFRAG, password="short"),
        lambda: restart_ice(password="short"),
        lambda: restart_ice(remote_ufrag="a:bcd"),
        lambda: install_keys(local_key=b"15 bytes are few"[:15]),
        lambda: install_keys(profile="AES128_CM_HMAC_SHA1_80"),
        lambda: install_keys(profile="AEAD_AES_256_GCM"),
        lambda: add_track(kind="smell"),
        lambda: add_track(clock_rate=0),
        lambda: add_track(formats=[]),
        lambda: add_track(formats=[(128, "vp8")]),
        lambda: add_track(formats=[(96, "h263")]),
        lambda: add_track(extensions=[(0, "urn:ietf:params:rtp-hdrext:sdes:mid")]),
        lambda: add_track(encodings=[]),
        lambda: add_track(encodings=[""]),
        lambda: add_track(mid=""),
        lambda: _relay.SwitchDowntrack(downtrack=1, track=2, formats=[]),
        lambda: _relay.SetNotAfter(peer=1, seconds_from_now=float("nan")),
        lambda: _relay.SendDtls(peer=1, datagrams=[b""]),
        lambda: _relay.SendDtls(peer=1, datagrams=[bytes(2_049)]),
        lambda: Relay(binds=[]),
        lambda: Relay(binds=[("localhost", 0)]),
        lambda: Relay(binds=[("127.0.0.1", 0), ("127.0.0.1", 0)]),
    ],
)
def test_a_value_out_of_range_is_refused_when_it_is_written(mistake: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        mistake()
    assert "canary" not in str(caught.value)


def test_a_downtrack_that_is_to_carry_nothing_needs_no_format() -> None:
    assert _relay.SwitchDowntrack(downtrack=1, track=None, formats=[]).track is None


def test_commands_are_frozen() -> None:
    mute = _relay.MuteTrack(track=1, muted=True)
    with pytest.raises(AttributeError):
        mute.muted = False  # type: ignore[misc] # that is the test
    assert mute.muted
