"""What describes a server comes through JSON as it was."""

from __future__ import annotations

import json

import pytest

from bench.loadgen.servers import (
    BareServer,
    JanusServer,
    LiveKitServer,
    Server,
    described,
    parse,
)


@pytest.mark.parametrize(
    "server",
    [
        LiveKitServer(1, 0, "10.80.0.1", 7880, "/ca.pem", "key", "secret", 7881, "there"),
        JanusServer(2, 0, "10.80.0.1", 8188),
        BareServer(0, "10.80.0.1", 7990, ["bare"]),
    ],
)
def test_a_server_is_the_same_on_both_sides(server: Server) -> None:
    assert parse(json.loads(json.dumps(described(server)))) == server
