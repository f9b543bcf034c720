"""Each stack sends to the next one, under each policy. What arrives is recognised, and what the
server says of both transports is asserted.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.stacks import record
from tests.interop.stacks.calls import call, show_of
from tests.interop.stacks.catalogue import RING, Entry, able
from tests.interop.stacks.combinations import ALLOWED
from tests.interop.stacks.record import Claim
from tests.node import running_node

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


def pairs() -> Iterator[object]:
    for policy in ALLOWED:
        ring = able(policy)
        for sender, receiver in zip(ring, (*ring[1:], ring[0]), strict=True):
            yield pytest.param(
                policy, sender, receiver, id=f"{policy}-{sender.name}-{receiver.name}"
            )


@pytest.mark.parametrize(("policy", "sender", "receiver"), list(pairs()))
async def test_what_one_stack_sends_another_recognises(
    policy: str, sender: Entry, receiver: Entry
) -> None:
    await call(policy, sender, receiver)


SHUT_OUT = [(policy, entry) for entry in RING for policy in entry.refused]


@pytest.mark.parametrize("role", ["sender", "receiver"])
@pytest.mark.parametrize(
    ("policy", "entry"), SHUT_OUT, ids=[f"{policy}-{entry.name}" for policy, entry in SHUT_OUT]
)
async def test_a_stack_that_cannot_do_what_a_policy_asks_for_gets_no_keys(
    policy: str, entry: Entry, role: str
) -> None:
    outcome, _ = entry.refused[policy]
    async with running_node(POLICY=policy) as node:
        coming = (
            entry.stack.sending(node, "shut", show_of(entry))
            if role == "sender"
            else entry.stack.receiving(node, "shut")
        )
        with pytest.raises(AssertionError, match="without saying that it is connected"):
            async with coming:
                pass
        metrics = await node.metrics()
        assert metrics[f'conclave_handshakes_total{{outcome="{outcome}"}}'] >= 1
        assert not any('outcome="connected"' in name and count for name, count in metrics.items())
    record.keep(Claim(entry.name, role, policy, "", refused=outcome))
