"""The extension's words and ours are the same, and it takes ours."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sfu import _relay, commands, events
from sfu.worker import _command

COMMANDS = [
    commands.OpenPeer(peer=1, ufrag="abcdefgh", password="x" * 22),
    commands.SetRemoteIce(peer=1, ufrag="abcd", password="x" * 22),
    commands.InstallKeys(
        peer=1,
        profile="AEAD_AES_128_GCM",
        local_key=b"k" * 16,
        local_salt=b"s" * 12,
        remote_key=b"k" * 16,
        remote_salt=b"s" * 12,
    ),
    commands.OpenPipe(
        peer=4,
        local="127.0.0.1",
        remote=("127.0.0.1", 7883),
        profile="AEAD_AES_128_GCM",
        local_key=b"k" * 16,
        local_salt=b"s" * 12,
        remote_key=b"k" * 16,
        remote_salt=b"s" * 12,
    ),
    commands.ClosePeer(peer=1),
    commands.SetNotAfter(peer=1, seconds_from_now=2.5),
    commands.AddTrack(
        track=2,
        peer=1,
        kind="audio",
        mid="0",
        clock_rate=48000,
        formats=((111, "opus"),),
        extensions=((4, "urn:ietf:params:rtp-hdrext:sdes:mid"),),
        encodings=(1001, "q", None),
    ),
    commands.MuteTrack(track=2, muted=True),
    commands.RemoveTrack(track=2),
    commands.AddDowntrack(
        downtrack=3,
        peer=1,
        track=2,
        ssrc=5,
        formats=((111, "opus"),),
        extensions=(),
        cname="c",
        nack=False,
        only=2,
    ),
    commands.RemoveDowntrack(downtrack=3),
    commands.SendDtls(peer=1, datagrams=(b"x",)),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_the_extension_takes_every_command(command: commands.Command) -> None:
    assert type(_command(command)).__name__ == type(command).__name__


@pytest.mark.parametrize(
    "name",
    [
        "Done",
        "Dtls",
        "MediaStarted",
        "ConsentLost",
        "Expired",
        "Levels",
        "TrackStarted",
        "Health",
        "WorkerDied",
    ],
)
def test_the_extensions_events_have_the_fields_of_ours(name: str) -> None:
    theirs = getattr(_relay, name)
    for entry in fields(getattr(events, name)):
        assert hasattr(theirs, entry.name)


def test_no_command_shows_a_secret() -> None:
    shown = " ".join(map(repr, COMMANDS))
    assert "k" * 16 not in shown
    assert "x" * 22 not in shown
    assert commands.OpenPeer.__name__ in shown
    assert commands.SetRemoteIce.__name__ in shown
