"""Guards for what is private in aiortc and pyOpenSSL and yet used by `sfu.dtls`."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsTransport,
)
from cryptography.hazmat.primitives.asymmetric import ec

from sfu.dtls import (
    DatagramPipe,
)
from tests.unit.sfu.dtls_client import (
    LIB,
)


def test_aiortc_is_the_version_whose_private_parts_we_override() -> None:
    assert importlib.metadata.version("aiortc") == "1.16.0"


@pytest.mark.parametrize(
    "name",
    [
        "_do_handshake",
        "_recv_next",
        "_validate_peer_identity",
        "_setup_srtp",
        "_write_ssl",
        "_send_data",
        "_set_role",
        "_set_state",
        "_register_data_receiver",
        "_unregister_data_receiver",
        "stop",
    ],
)
def test_aiortc_still_has(name: str) -> None:
    assert callable(getattr(RTCDtlsTransport, name))


def test_aiortc_still_makes_its_context_where_we_override_it() -> None:
    assert callable(RTCCertificate._create_ssl_context)
    certificate = RTCCertificate.generateCertificate()
    assert isinstance(certificate._key.curve, ec.SECP256R1)


async def test_aiortc_still_takes_a_pipe_for_an_ice_transport() -> None:
    pipe: Any = DatagramPipe(lambda _: None)
    transport = RTCDtlsTransport(pipe, [RTCCertificate.generateCertificate()])
    for name in ("_ssl", "_task", "_state", "_data_receiver", "encrypted", "_role"):
        assert hasattr(transport, name)


@pytest.mark.parametrize(
    "name",
    ["SSL_CTX_set1_curves_list", "SSL_CTX_set1_sigalgs_list", "SSL_get_extms_support"],
)
def test_openssl_still_lets_us_reach(name: str) -> None:
    assert hasattr(LIB, name)
