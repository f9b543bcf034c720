"""The test's server with DTLS 1.3 on: its DTLS is `dimpl`'s, a Rust crate, in a process of its own.

No stack that Python reaches here speaks 1.3, and Pion's releases do not either.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.probe.weak.contexts import server_certificate
from tests.probe.weak.node import Address, Way, WeakNode
from tests.probe.weak.strength import Strength

_CRATE = Path(__file__).with_name("dtls13")
_ROOT = _CRATE.parents[3]
STOP_SECONDS = 5.0


class Dtls13Node(WeakNode):
    """Carries each address's DTLS to the crate's process, and back."""

    def __init__(self, strength: Strength) -> None:
        super().__init__(strength)
        self._engine = 0  # its port
        self._ends: dict[Address, asyncio.Task[_End]] = {}

    @classmethod
    @asynccontextmanager
    async def speaking(cls, folder: Path) -> AsyncIterator[Dtls13Node]:
        """Running, for the time of the block; `folder` is for its certificate."""
        certificate, key = server_certificate("ecdsa-p256")
        (folder / "certificate.der").write_bytes(certificate.public_bytes(Encoding.DER))
        (folder / "key.der").write_bytes(
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        )
        process = await asyncio.create_subprocess_exec(
            await _built(),
            *(str(folder / name) for name in ("certificate.der", "key.der")),
            stdin=asyncio.subprocess.PIPE,  # it ends with it
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with cls.running(Strength()) as node:
                assert isinstance(node, Dtls13Node)
                node._engine = int(await process.stdout.readline())
                yield node
                for end in node._ends.values():
                    (await end).transport.close()
        finally:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()

    def take_dtls(self, way: Way, data: bytes, address: Address) -> None:
        end = self._ends.get(address)
        if end is None:
            end = self._ends[address] = asyncio.create_task(self._end(way, address))
        end.add_done_callback(lambda made: made.result().transport.sendto(data))

    async def _end(self, way: Way, address: Address) -> _End:
        end = _End(self, way, address)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: end, remote_addr=("127.0.0.1", self._engine)
        )
        return end


class _End(asyncio.DatagramProtocol):
    """Stands for one address at the crate's process."""

    transport: Any  # asyncio's selector transport, which is no DatagramTransport by type

    def __init__(self, node: Dtls13Node, way: Way, address: Address) -> None:
        self._node, self._way, self._address = node, way, address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, _address: object) -> None:
        self._node.put(self._way, data, self._address)


async def _built() -> Path:
    """The program, compiled when it is not there yet."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", _ROOT / "sfu/relay/target"))
    cargo = await asyncio.create_subprocess_exec(
        *("cargo", "build", "--locked", "--quiet", "--manifest-path", str(_CRATE / "Cargo.toml")),
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    assert await cargo.wait() == 0
    return target / "debug/weak-dtls13"
