"""One call of the matrix: a stack sends, another receives, the Python SDK listens besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.browser.sources import Pattern
from tests.interop.sdk import eventually
from tests.interop.stacks import record
from tests.interop.stacks.catalogue import RING, Entry
from tests.interop.stacks.combinations import ALLOWED, PROFILE_NAMES
from tests.interop.stacks.participants import Sdk, Show
from tests.interop.stacks.record import Claim, negotiated
from tests.node import Node, running_node


async def call(policy: str, sender: Entry, receiver: Entry) -> None:
    """Recognise at both receivers what the sender sends, hold the server's record of the sender and
    the receiver against the policy, and keep what was proven.
    """
    room = f"{policy}-{sender.name}-{receiver.name}"
    show = show_of(sender)
    async with (
        running_node(POLICY=policy) as node,
        sender.stack.sending(node, room, show) as sends,
    ):
        async with receiver.stack.receiving(node, room) as receives:
            sent = await recorded(node, sends.token)
            received = await recorded(node, receives.token)
            for entry, who, transport in ((sender, sends, sent), (receiver, receives, received)):
                assert transport["policy"] == policy
                assert transport["dtls_version"] == "DTLS 1.2"
                assert transport["extended_master_secret"] is True
                for field, value in negotiated(transport).items():
                    assert value in ALLOWED[policy][field], field
                told = await who.tells()
                assert (told is not None) == entry.tells
                assert_agrees(told, transport)
            await receives.recognises(show)
        record.keep(Claim(sender.name, "sender", policy, receiver.name, **negotiated(sent)))
        record.keep(Claim(receiver.name, "receiver", policy, sender.name, **negotiated(received)))
        if sender.name != "sdk" != receiver.name:
            async with Sdk().receiving(node, room) as listens:
                await listens.recognises(show)
            record.keep(Claim(sender.name, "sender", policy, "sdk", **negotiated(sent)))


async def recorded(node: Node, token: str) -> dict[str, Any]:
    """The server's record of the bearer's transport, as soon as it is connected: a client may know
    a moment earlier. Of two transports that which receives; the other stays unused.
    """
    transports: list[dict[str, Any]] = []

    async def connected() -> bool:
        transports[:] = await node.transports(token)
        return bool(transports[-1]["state"] == "connected")

    await eventually(connected, "the server has not recorded that it is connected")
    return transports[-1]


def assert_agrees(told: tuple[str, str] | None, transport: Mapping[str, Any]) -> None:
    """Hold a stack's own word against the server's record, where the stack can tell."""
    if told is not None:
        suite, profile = told
        assert suite == transport["cipher_suite"]
        assert profile in (transport["srtp_profile"], *PROFILE_NAMES[transport["srtp_profile"]])


def show_of(sender: Entry) -> Show:
    """A tone and a pattern of the sender's own."""
    number = RING.index(sender)
    firefox = sender.name == "firefox"
    return Show(500 + 170 * number, None if firefox else Pattern(100 + 131 * number))
