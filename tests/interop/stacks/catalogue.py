"""The eight stacks: which, how they come in, which version is here, and what they cannot do."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from tests.browser.installed import program as browser
from tests.interop.stacks import program
from tests.interop.stacks.participants import Doors, Page, Sdk, Stack
from tests.interop.stacks.program import HERE


@dataclass(frozen=True, slots=True)
class Entry:
    """One stack."""

    name: str
    title: str
    stack: Stack
    version: Callable[[], str]
    tells: bool = False
    """Whether it can say what it negotiated, beside the server's record."""
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By policy: the outcome of its handshakes, and the stack's limitation behind it."""


def _python(package: str) -> Callable[[], str]:
    return lambda: version(package)


def _npm(package: str) -> Callable[[], str]:
    def read() -> str:
        manifest = HERE / "node" / "node_modules" / package / "package.json"
        return str(json.loads(manifest.read_text())["version"])

    return read


def _pion() -> str:
    manifest = (HERE / "pion" / "go.mod").read_text()
    found = re.search(r"pion/webrtc/v4 v(\S+)", manifest)
    assert found is not None
    return found.group(1)


def _gstreamer() -> str:
    asked = ("dpkg-query", "-W", "-f", "${Version}", "gstreamer1.0-plugins-bad")
    return subprocess.run(asked, capture_output=True, check=True, text=True).stdout


def _browser(name: str) -> Callable[[], str]:
    def ask() -> str:
        asked = (browser(name), "--version")
        said = subprocess.run(asked, capture_output=True, check=True, text=True).stdout
        found = re.search(r"\d+(\.\d+)+\S*", said)
        assert found is not None
        return found.group()

    return ask


_NO_GCM = (
    "dtls_no_srtp_profile",
    "offers AES128_CM_HMAC_SHA1_80 only: the list is fixed in GStreamer's dtls plugin",
)

# In the order in which each sends to the next, and the last to the first.
RING: tuple[Entry, ...] = (
    Entry("aiortc", "aiortc", Doors(program.aiortc), _python("aiortc"), tells=True),
    Entry("pion", "Pion", Doors(program.pion), _pion),
    Entry("werift", "werift", Doors(program.werift), _npm("werift"), tells=True),
    Entry(
        "libdatachannel",
        "libdatachannel (node-datachannel)",
        Doors(program.libdatachannel),
        _npm("node-datachannel"),
    ),
    Entry(
        "gstreamer",
        "GStreamer webrtcbin (Debian)",
        Doors(program.gstreamer),
        _gstreamer,
        refused={"strict": _NO_GCM},
    ),
    Entry("sdk", "LiveKit Python SDK", Sdk(), _python("livekit")),
    Entry("chromium", "Chromium (Debian)", Page("chromium"), _browser("chromium"), tells=True),
    Entry("firefox", "Firefox ESR (Debian)", Page("firefox"), _browser("firefox"), tells=True),
)


def able(policy: str) -> tuple[Entry, ...]:
    """The ring without the stacks that the policy shuts out."""
    return tuple(entry for entry in RING if policy not in entry.refused)


def named(name: str) -> Entry:
    return next(entry for entry in RING if entry.name == name)
