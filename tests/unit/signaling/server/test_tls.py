"""TLS as a client meets it: what each policy takes and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from typing import Any

import pytest

from tests.patience import PATIENCE

Start = Any  # conftest.Start: test modules cannot import one another

GOOD_12 = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]
BAD_12 = [
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "AES128-GCM-SHA256",
]


def client(server: Any, version: ssl.TLSVersion, suites: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.dev.identity.ca)
    context.minimum_version = context.maximum_version = version
    if suites is not None:
        context.set_ciphers(f"{suites}:@SECLEVEL=0")
    return context


async def handshake(server: Any, context: ssl.SSLContext) -> tuple[str, str]:
    """The version and suite that came of it."""
    _, writer = await asyncio.open_connection(
        "127.0.0.1", server.at.port, ssl=context, server_hostname="localhost"
    )
    session = writer.get_extra_info("ssl_object")
    result = session.version(), session.cipher()[0]
    writer.close()
    return result


class TestStandard:
    async def test_it_takes_1_3_with_aes_256_first(self, start: Start) -> None:
        server = await start()
        context = client(server, ssl.TLSVersion.TLSv1_3)
        assert await handshake(server, context) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")

    async def test_it_prefers_aes_256_in_1_2_whatever_the_client_prefers(
        self, start: Start
    ) -> None:
        server = await start()
        context = client(server, ssl.TLSVersion.TLSv1_2, ":".join(reversed(GOOD_12)))
        assert await handshake(server, context) == ("TLSv1.2", GOOD_12[0])

    @pytest.mark.parametrize("suite", GOOD_12)
    async def test_it_takes_each_good_suite(self, start: Start, suite: str) -> None:
        server = await start()
        context = client(server, ssl.TLSVersion.TLSv1_2, suite)
        assert await handshake(server, context) == ("TLSv1.2", suite)

    @pytest.mark.parametrize("suite", BAD_12)
    async def test_it_refuses_every_other_suite(self, start: Start, suite: str) -> None:
        server = await start()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await handshake(server, client(server, ssl.TLSVersion.TLSv1_2, suite))

    @pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    async def test_it_refuses_older_versions(self, start: Start, version: str) -> None:
        server = await start()
        context = client(server, ssl.TLSVersion[version], "ALL")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await handshake(server, context)

    async def test_plain_http_gets_no_answer(self, start: Start) -> None:
        server = await start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.at.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
        assert b"HTTP" not in answer
        writer.close()


class TestStrict:
    async def test_it_takes_1_3_only(self, start: Start) -> None:
        server = await start(POLICY="strict")
        assert (await handshake(server, client(server, ssl.TLSVersion.TLSv1_3)))[0] == "TLSv1.3"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await handshake(server, client(server, ssl.TLSVersion.TLSv1_2))


async def test_renegotiation_is_refused(start: Start) -> None:
    server = await start()
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.at.port}"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(b"R\n"), PATIENCE)
    assert b"Cipher is ECDHE" in output
    assert b"no renegotiation" in output


async def test_the_throwaway_chain_verifies_by_name_and_address(start: Start) -> None:
    server = await start()
    for name in ("localhost", "127.0.0.1"):
        context = client(server, ssl.TLSVersion.TLSv1_3)
        _, writer = await asyncio.open_connection(
            "127.0.0.1", server.at.port, ssl=context, server_hostname=name
        )
        writer.close()
