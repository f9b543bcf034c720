"""What the probe's rows say of our own node, `openssl s_client` and `gnutls-cli` say too.

They were written by others, know no ICE (the shim does it for them), and are of other versions than
the OpenSSL inside the probe.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from sfu.probe.identity import Identity, identity
from sfu.probe.lab import Lab
from sfu.probe.policy import STANDARD
from sfu.probe.row import REFUSED
from sfu.probe.rows import ROWS
from sfu.probe.rows.crafted import NO_PROFILE
from sfu.probe.suites import openssl_name
from sfu.probe.targets import Target
from sfu.probe.targets.self_node import self_node
from tests.probe.tools import Tool, Wish, installed, run

pytestmark = pytest.mark.asyncio(loop_scope="module")

GCM, CBC = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA"


@dataclass(frozen=True)
class Check:
    """A row of the probe, and what makes a tool try the same."""

    row: str
    wish: Wish
    shown: Identity | None = None
    announced: Identity | None = None  # in signalling, when it is not the shown one


def openssl(*arguments: str, cipher: str = GCM, srtp: str = "", certificate: bool = True) -> Wish:
    given = ("-use_srtp", srtp or "SRTP_AEAD_AES_128_GCM") if srtp != "none" else ()
    version = () if "-dtls1" in arguments else ("-dtls1_2",)
    return Wish("openssl", (*version, "-cipher", cipher, *given, *arguments), certificate)


def gnutls(
    changes: str = "", *, srtp: str = "SRTP_AES128_CM_HMAC_SHA1_80", certificate: bool = True
) -> Wish:
    priority = f"NORMAL:-VERS-ALL:+VERS-DTLS1.2{changes}"
    return Wish("gnutls-cli", ("--priority", priority, "--srtp-profiles", srtp), certificate)


def gnutls_suite(cipher: str, mac: str = "AEAD") -> Wish:
    return gnutls(f":-KX-ALL:+ECDHE-ECDSA:-CIPHER-ALL:+{cipher}:-MAC-ALL:+{mac}")


CHECKS = (
    Check("version-dtls-1.0", openssl("-dtls1", cipher=f"{CBC}:@SECLEVEL=0")),
    Check("version-dtls-1.2", gnutls()),
    Check("suite-ecdhe_ecdsa_with_aes_128_gcm_sha256", openssl()),
    Check("suite-ecdhe_ecdsa_with_aes_128_gcm_sha256", gnutls_suite("AES-128-GCM")),
    Check("suite-ecdhe_ecdsa_with_aes_256_cbc_sha", openssl(cipher=CBC)),
    Check("suite-ecdhe_ecdsa_with_aes_256_cbc_sha", gnutls_suite("AES-256-CBC", "SHA1")),
    Check("suite-ecdhe_ecdsa_with_aes_128_cbc_sha", gnutls_suite("AES-128-CBC", "SHA1")),
    Check("suite-ecdhe_ecdsa_with_aes_256_gcm_sha384", gnutls_suite("AES-256-GCM")),
    Check(
        "suite-ecdhe_ecdsa_with_chacha20_poly1305_sha256",
        openssl(cipher="ECDHE-ECDSA-CHACHA20-POLY1305"),
    ),
    Check("suite-ecdhe_ecdsa_with_chacha20_poly1305_sha256", gnutls_suite("CHACHA20-POLY1305")),
    Check("suite-ecdhe_ecdsa_with_aes_128_ccm", gnutls_suite("AES-128-CCM")),
    Check("extended-master-secret", gnutls(":%NO_SESSION_HASH")),
    Check("client-certificate-none", openssl(certificate=False)),
    Check("client-certificate-none", gnutls(certificate=False)),
    Check(
        "client-certificate-rsa-1024",
        openssl(cipher=f"{GCM}:@SECLEVEL=0"),
        shown=identity("rsa-1024"),
    ),
    Check("client-certificate-rsa-2048", openssl(), shown=identity("rsa-2048")),
    Check("client-certificate-ecdsa-p384", gnutls(), shown=identity("ecdsa-p384")),
    Check("client-certificate-expired", openssl(), shown=identity(expired=True)),
    Check("fingerprint-wrong", openssl(), announced=identity(number=9)),
    Check("srtp-aes128-cm-hmac-sha1-80", gnutls()),
    Check("srtp-aes128-cm-hmac-sha1-32", gnutls(srtp="SRTP_AES128_CM_HMAC_SHA1_32")),
    Check("srtp-aead-aes-256-gcm", openssl(srtp="SRTP_AEAD_AES_256_GCM")),
    Check("srtp-null-alone", gnutls(srtp="SRTP_NULL_HMAC_SHA1_80")),
    Check("srtp-left-out", openssl(srtp="none")),
)
_BY_ID = {row.id: row for row in ROWS}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node() -> AsyncIterator[Target]:
    installed()
    async with self_node("standard") as target:
        yield target


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.row}-{check.wish.tool}")
async def test_a_tool_of_others_finds_what_the_row_finds(
    node: Target, check: Check, tmp_path: Path
) -> None:
    lab = Lab(STANDARD, node, node.seats[:1])
    row = _BY_ID[check.row]
    seen = await row.run(lab)
    tried = await run(lab, check.wish, check.shown or identity(), tmp_path, check.announced)
    refused = seen.outcome in (REFUSED, NO_PROFILE)
    assert tried.accepted == (not refused), tried.output
    if tried.accepted and check.wish.tool == "openssl":
        (suite,) = (part for part in seen.detail.split(", ") if part.startswith("TLS_"))
        assert tried.suite == openssl_name(suite)
    assert seen.outcome in row.expected(STANDARD).outcomes


GROUPS = {
    "group-x25519": ("X25519:P-256", "GROUP-X25519:+GROUP-SECP256R1"),
    "group-p-384": ("P-384:P-256", "GROUP-SECP384R1:+GROUP-SECP256R1"),
    "group-p-521": ("P-521:P-256", "GROUP-SECP521R1:+GROUP-SECP256R1"),
    "group-x448": ("X448:P-256", "GROUP-X448:+GROUP-SECP256R1"),
}


@pytest.mark.parametrize("tool", ["openssl", "gnutls-cli"])
@pytest.mark.parametrize("row", GROUPS)
async def test_a_tool_of_others_is_given_the_group_that_the_row_is(
    node: Target, row: str, tool: Tool, tmp_path: Path
) -> None:
    lab = Lab(STANDARD, node, node.seats[:1])
    theirs, gnutls_groups = GROUPS[row]
    wish = {
        "openssl": openssl("-groups", theirs),
        "gnutls-cli": gnutls(f":-GROUP-ALL:+{gnutls_groups}"),
    }[tool]
    seen = await _BY_ID[row].run(lab)
    tried = await run(lab, wish, identity(), tmp_path)
    assert tried.accepted, tried.output
    assert tried.group == seen.outcome


async def test_the_tools_agree_with_each_row_on_something_accepted_and_something_refused(
    node: Target, tmp_path: Path
) -> None:
    """Or else a tool that fails always, or never, would agree with half of the table."""
    found: dict[Tool, set[bool]] = {"openssl": set(), "gnutls-cli": set()}
    lab = Lab(STANDARD, node, node.seats[:1])
    for wish in (openssl(), openssl(certificate=False), gnutls(), gnutls(certificate=False)):
        found[wish.tool].add((await run(lab, wish, identity(), tmp_path)).accepted)
    assert found == {"openssl": {True, False}, "gnutls-cli": {True, False}}
