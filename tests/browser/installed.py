"""What browser tests need on the machine. They fail without it: no call, no proof."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PROGRAMS = {
    "chromium": ("chromium", "chromium-browser"),
    "firefox": ("firefox-esr", "firefox"),
    "Xvfb": ("Xvfb",),
    "node": ("node",),
}


class NotInstalledError(Exception):
    """A program or package that the tests need is missing; the message says how to get it."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(f"{what} is missing: {how}. `make test` installs what it may.")


def program(name: str) -> str:
    """The path of `chromium`, `firefox`, `Xvfb` or `node`."""
    candidates = _PROGRAMS[name]
    for candidate in candidates:
        if path := shutil.which(candidate):
            return path
    raise NotInstalledError(name, f"no {' or '.join(candidates)} on the PATH")


def driver_packages() -> None:
    """Check that the driver's npm packages are there."""
    if not (ROOT / "tests/browser/node_modules/puppeteer-core").is_dir():
        raise NotInstalledError("puppeteer-core", "run `npm ci` in tests/browser")


def built_page() -> None:
    """Check that the page is built."""
    if not (ROOT / "signaling/web/dist/index.html").is_file():
        raise NotInstalledError("the page", "run `npm ci && npm run build` in signaling/web")
