"""Two DTLS clients that somebody else wrote, run as their users run them, and what they report."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sfu.probe.identity import Identity
from sfu.probe.lab import Lab
from sfu.probe.sides import Credentials, LocalSide
from tests.probe.ice_shim import IceShim

PATIENCE = 15.0  # seconds for a handshake of a tool
SETTLE = 0.6  # seconds in which the server may still end what looked done to the tool
MTU = "1200"

Tool = Literal["openssl", "gnutls-cli"]

_DONE = {
    "openssl": re.compile(r"^New, TLSv1\.\d, Cipher is (?!\(NONE\))(\S+)", re.M),
    "gnutls-cli": re.compile(r"^- Description: (\S+)", re.M),
}
_GROUP = {
    "openssl": re.compile(r"^Server Temp Key: (?:ECDH, )?([\w-]+)", re.M),
    "gnutls-cli": re.compile(r"^- Description: .*?\(ECDHE-(\w+)\)", re.M),
}
_GROUP_NAMES = {"prime256v1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"} | {
    "SECP256R1": "P-256",
    "SECP384R1": "P-384",
    "SECP521R1": "P-521",
}


@dataclass(frozen=True)
class Wish:
    """What the tool is told to offer, in its own words."""

    tool: Tool
    arguments: tuple[str, ...]
    certificate: bool = True


@dataclass
class Tried:
    """What came of it."""

    accepted: bool
    suite: str  # as the tool names it, "" when refused
    group: str  # as the policy names it, "" when the tool was told none
    output: str = field(repr=False)


class NotInstalledError(Exception):
    """A tool is missing: no comparison, no proof."""


def installed() -> None:
    """Raises `NotInstalledError`."""
    for tool, package in (("openssl", "openssl"), ("gnutls-cli", "gnutls-bin")):
        if shutil.which(tool) is None:
            raise NotInstalledError(f"{tool} is missing: apt-get install {package}")


async def run(
    lab: Lab, wish: Wish, who: Identity, folder: Path, announced: Identity | None = None
) -> Tried:
    """A session with the target, whose media is a tool's. `announced` stands in signalling, when it
    is somebody else's certificate.
    """
    local = LocalSide(Credentials(), ((announced or who).fingerprint(),))
    exchange = await lab.target.open(lab.seats[0], local)
    try:
        async with IceShim.proven(local.credentials, exchange.remote) as shim:
            command = _command(wish, shim.port, _files(who, folder))
            output, found = await _handshake(command, wish, exchange.ended)
            return Tried(found != "", found, _group(wish.tool, output), output)
    finally:
        await exchange.close()


async def _handshake(
    command: list[str], wish: Wish, ended: Callable[[], str | None]
) -> tuple[str, str]:
    """The tool's output, and the suite it says it has: "" when it has none, or has ended since."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,  # open: the tools end with it
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = _Said()
    reading = asyncio.create_task(said.take(process.stdout))
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := said.suite(wish.tool)) and not reading.done() and not ended():
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.05)
        # The server may say "no" after the tool's last word (RFC 5246 section 7.3); and GnuTLS,
        # told "no" to its hello, says it again for a minute, so signalling's end counts too.
        await asyncio.wait((reading,), timeout=SETTLE)
        return said.text, "" if reading.done() or ended() else found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


class _Said:
    """What a tool has said so far."""

    def __init__(self) -> None:
        self.text = ""

    async def take(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(4096):
            self.text += data.decode(errors="replace")

    def suite(self, tool: Tool) -> str:
        match = _DONE[tool].search(self.text)
        return match[1] if match else ""


def _group(tool: Tool, output: str) -> str:
    match = _GROUP[tool].search(output)
    return _GROUP_NAMES.get(match[1], match[1]) if match else ""


def _command(wish: Wish, port: int, files: tuple[Path, Path]) -> list[str]:
    certificate, key = map(str, files)
    if wish.tool == "openssl":
        shown = ["-cert", certificate, "-key", key] if wish.certificate else []
        head = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-mtu", MTU]
    else:
        shown = ["--x509certfile", certificate, "--x509keyfile", key] if wish.certificate else []
        head = ["gnutls-cli", "--udp", "--insecure", "--mtu", MTU, "--port", str(port)]
        return [*head, *shown, *wish.arguments, "127.0.0.1"]
    return [*head, *shown, *wish.arguments]


def _files(who: Identity, folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(who.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(who.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key
