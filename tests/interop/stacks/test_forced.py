"""Each suite with each profile alone: asked for by a client that can be told, or the only ones
that the server takes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.browser.sources import Pattern
from tests.interop.stacks import program, record
from tests.interop.stacks.calls import assert_agrees, recorded
from tests.interop.stacks.combinations import COMBINATIONS
from tests.interop.stacks.participants import Doors, Only, Page, Show
from tests.interop.stacks.record import Claim, negotiated
from tests.node import running_node

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

TELLABLE = {"aiortc": Doors(program.aiortc), "pion": Doors(program.pion)}

each_combination = pytest.mark.parametrize(("suite", "profile"), COMBINATIONS)


@each_combination
@pytest.mark.parametrize(("sender", "receiver"), [("aiortc", "pion"), ("pion", "aiortc")])
async def test_a_stack_that_offers_one_alone_gets_it(
    sender: str, receiver: str, suite: str, profile: str
) -> None:
    room, show = f"only-{sender}", Show(730, Pattern(815))
    only = Only(suite, profile)
    async with (
        running_node() as node,
        replace(TELLABLE[sender], only=only).sending(node, room, show) as sends,
        replace(TELLABLE[receiver], only=only).receiving(node, room) as receives,
    ):
        sent = await recorded(node, sends.token)
        received = await recorded(node, receives.token)
        for who, transport in ((sends, sent), (receives, received)):
            assert transport["cipher_suite"] == suite
            assert transport["srtp_profile"] == profile
            assert_agrees(await who.tells(), transport)
        await receives.recognises(show)
    record.keep(Claim(sender, "sender", "forced", receiver, **negotiated(sent)))
    record.keep(Claim(receiver, "receiver", "forced", sender, **negotiated(received)))


@each_combination
async def test_browsers_follow_a_server_that_takes_one_alone(suite: str, profile: str) -> None:
    room = f"only-{suite}-{profile}"
    green, wandering = Show(730, Pattern(815)), Show(1130, None)
    async with (
        running_node(MEDIA__SUITES=suite, MEDIA__SRTP_PROFILES=profile) as node,
        Page("chromium").joined(node, room, green) as chromium,
        Page("firefox").joined(node, room, wandering) as firefox,
    ):
        await firefox.recognises(green)
        await chromium.recognises(wandering)
        for visiting in (chromium, firefox):
            transport = await recorded(node, visiting.token)
            assert transport["cipher_suite"] == suite
            assert transport["srtp_profile"] == profile
            assert_agrees(await visiting.tells(), transport)
            name = visiting.visitor.browser.name
            other = "firefox" if name == "chromium" else "chromium"
            for role in ("sender", "receiver"):
                record.keep(Claim(name, role, "forced", other, **negotiated(transport)))
