"""Debian's Chromium and Firefox as test participants, driven through `driver.mjs`.

    async with Browser.launch("chromium", tone_hz=440, pattern=Pattern(7)) as browser:
        page = await browser.open(node.origin)
        await page.click("join-button")

Elements are named by their `data-testid`. Times are seconds. Every call ends within its timeout
with a result or a `DriverError`; leaving the block ends every process that entering it started.
"""

import asyncio
import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from tests.browser.display import virtual_display
from tests.browser.installed import driver_packages, program
from tests.browser.sources import LARGE, PRESENTATION_TITLE, Pattern, write_pattern, write_tone
from tests.patience import PATIENCE

HERE = Path(__file__).parent
LAUNCH_SECONDS = PATIENCE
CALL_SECONDS = PATIENCE
EXIT_SECONDS = 40.0
MAX_LINE_BYTES = 64 * 1024 * 1024

BrowserName = Literal["chromium", "firefox"]


class DriverError(Exception):
    """A call to the browser failed: `code` is `timeout`, `closed`, `no_page` or `failed`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Browser:
    """One running browser with its own empty profile."""

    def __init__(self, name: BrowserName, driver: "_Driver") -> None:
        self.name = name
        self._driver = driver

    @classmethod
    @asynccontextmanager
    async def launch(
        cls,
        name: BrowserName,
        *,
        tone_hz: int,
        pattern: Pattern | None = None,
        size: tuple[int, int] = LARGE,
        camera: Path | None = None,
        inside: Sequence[str] = (),
    ) -> AsyncIterator[Self]:
        """Start a browser whose microphone plays `tone_hz`.

        `inside` goes before the command, to run it in a network namespace.

        Chromium's camera plays `pattern` in that size, or the MJPEG file `camera`. Firefox's camera
        is its own: one colour that wanders.
        Firefox runs in a window on its own virtual display, Chromium headless.
        Raises `NotInstalledError` where the machine lacks what this needs.
        """
        driver_packages()
        async with AsyncExitStack() as stack:
            options: dict[str, object] = {"browser": name, "executable": program(name)}
            if name == "chromium":
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                write_tone(folder / "tone.wav", tone_hz)
                options["audio_file"] = str(folder / "tone.wav")
                if camera is None:
                    camera = folder / "pattern.mjpeg"
                    write_pattern(camera, pattern or Pattern(0), size)
                options["video_file"] = str(camera)
                options["capture_title"] = PRESENTATION_TITLE
            else:
                options["display"] = await stack.enter_async_context(virtual_display())
                options["tone_hz"] = tone_hz
            driver = await stack.enter_async_context(_Driver.start(inside))
            await driver.call("launch", options, LAUNCH_SECONDS)
            yield cls(name, driver)

    async def open(self, url: str, *, width: int = 1280, height: int = 720) -> "Page":
        """Open `url` in a new tab whose viewport has that size in CSS pixels."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        options = {"width": width, "height": height, "origin": origin}
        answer = await self._driver.call("newPage", options, CALL_SECONDS)
        page = Page(answer["page"], self._driver)
        await page.goto(url)
        return page


class Page:
    """One tab."""

    def __init__(self, number: int, driver: "_Driver") -> None:
        self._number = number
        self._driver = driver

    async def goto(self, url: str, timeout: float = CALL_SECONDS) -> None:
        await self._call("goto", timeout, url=url)

    async def reload(self, timeout: float = CALL_SECONDS) -> None:
        await self._call("reload", timeout)

    async def resize(self, width: int, height: int) -> None:
        await self._call("resize", CALL_SECONDS, width=width, height=height)

    async def click(self, testid: str, timeout: float = CALL_SECONDS) -> None:
        """Click in the middle of the element as soon as it can be hit."""
        await self._call("click", timeout, selector=selector(testid))

    async def type(self, testid: str, text: str, timeout: float = CALL_SECONDS) -> None:
        """Replace the text of an input by typing."""
        await self._call("type", timeout, selector=selector(testid), text=text)

    async def show(self) -> None:
        """Bring the tab to the front."""
        await self._call("show", CALL_SECONDS)

    async def evaluate(self, function: str, *args: object, timeout: float = CALL_SECONDS) -> Any:
        """Run the source text of a JavaScript function on JSON `args`; return its JSON result."""
        return await self._call("evaluate", timeout, source=function, args=list(args))

    async def wait_for(self, function: str, *args: object, timeout: float = CALL_SECONDS) -> Any:
        """Ask again and again until the function returns something true; return that."""
        return await self._call("waitFor", timeout, source=function, args=list(args))

    async def wait_for_element(self, testid: str, timeout: float = CALL_SECONDS) -> None:
        source = "(css) => document.querySelector(css) !== null"
        await self.wait_for(source, selector(testid), timeout=timeout)

    async def text(self, testid: str, timeout: float = CALL_SECONDS) -> str:
        """Return the visible text of an element as soon as it is there and not empty."""
        source = "(css) => document.querySelector(css)?.innerText"
        return str(await self.wait_for(source, selector(testid), timeout=timeout))

    async def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        await self._call("screenshot", CALL_SECONDS, path=str(path))

    async def messages(self) -> list[str]:
        """Return the last few hundred console messages and uncaught errors."""
        return list(await self._call("messages", CALL_SECONDS))

    async def close(self) -> None:
        await self._call("closePage", CALL_SECONDS)

    async def _call(self, method: str, timeout: float, **params: object) -> Any:
        return await self._driver.call(method, {"page": self._number, **params}, timeout)


def selector(testid: str) -> str:
    """Return the CSS selector of a `data-testid`."""
    return f'[data-testid="{testid}"]'


class _Driver:
    """The Node process: numbered requests out, answers in."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @classmethod
    @asynccontextmanager
    async def start(cls, inside: Sequence[str]) -> AsyncIterator["_Driver"]:
        process = await asyncio.create_subprocess_exec(
            *inside,
            program("node"),
            str(HERE / "driver.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
        )
        driver = cls(process)
        reading = asyncio.create_task(driver._read())
        try:
            yield driver
        finally:
            await driver._stop()
            await reading

    async def call(self, method: str, params: dict[str, object], timeout: float) -> Any:
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        request = {
            "id": number,
            "method": method,
            "params": params,
            "timeout_ms": round(timeout * 1000),
        }
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
            # The driver keeps the time; this longer limit only catches a driver that hangs.
            return await asyncio.wait_for(answer, timeout + 10)
        except (ConnectionError, TimeoutError) as error:
            raise DriverError("closed", f"the driver did not answer {method}") from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            answer = self._waiting.get(message["id"])
            if answer is None or answer.done():
                continue
            if "error" in message:
                error = message["error"]
                answer.set_exception(DriverError(str(error["code"]), str(error["message"])))
            else:
                answer.set_result(message["result"])
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(DriverError("closed", "the driver ended"))

    async def _stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), EXIT_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
