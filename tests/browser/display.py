"""A throw-away X display for browsers that need a real window."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.browser.installed import program
from tests.patience import PATIENCE


@asynccontextmanager
async def virtual_display(width: int = 1280, height: int = 720) -> AsyncIterator[str]:
    """Run Xvfb on a free display and yield its name, such as `:7`; it ends with the block."""
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "TERM"),  # it must not outlive a killed test run
            program("Xvfb"),
            "-displayfd", str(write_end),
            "-screen", "0", f"{width}x{height}x24",
            "-nolisten", "tcp",
            pass_fds=(write_end,),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    try:
        async with asyncio.timeout(PATIENCE):
            number = await _read_line(read_end)
        if not number:
            raise RuntimeError("Xvfb ended before it named its display")
        yield f":{number}"
    finally:
        os.close(read_end)
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _read_line(descriptor: int) -> str:
    loop = asyncio.get_running_loop()
    text = b""
    while not text.endswith(b"\n"):
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, ready.set_result, None)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
        chunk = os.read(descriptor, 16)
        if not chunk:
            break
        text += chunk
    return text.decode().strip()
