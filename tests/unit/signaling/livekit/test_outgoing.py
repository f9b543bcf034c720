"""The queue towards one client has a bottom."""

from __future__ import annotations

import asyncio

from signaling.livekit.outgoing import Outgoing
from tests.patience import PATIENCE


async def test_messages_come_out_in_order_and_then_nothing() -> None:
    queue = Outgoing()
    assert queue.put(b"a")
    assert queue.put(b"b")
    queue.close()
    assert not queue.put(b"c")
    assert [await queue.get(), await queue.get(), await queue.get()] == [b"a", b"b", None]


async def test_who_waits_is_woken_by_a_message_and_by_the_end() -> None:
    queue = Outgoing()
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert queue.put(b"a")
    assert queue.put(b"b")  # before it had its turn
    assert await asyncio.wait_for(waiting, PATIENCE) == b"a"
    assert await queue.get() == b"b"
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.close()
    assert await asyncio.wait_for(waiting, PATIENCE) is None


async def test_it_is_full_by_count_or_by_bytes() -> None:
    by_count = Outgoing(max_messages=2)
    assert [by_count.put(b"x") for _ in range(3)] == [True, True, False]
    by_bytes = Outgoing(max_bytes=10)
    assert [by_bytes.put(b"12345") for _ in range(3)] == [True, True, False]
    await by_bytes.get()
    assert by_bytes.put(b"12345")


async def test_one_message_of_any_size_fits_an_empty_queue() -> None:
    queue = Outgoing(max_bytes=10)
    assert queue.put(bytes(100))
    assert not queue.put(b"")
