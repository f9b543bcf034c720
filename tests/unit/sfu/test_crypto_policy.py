"""The policies say what DESIGN 5 says, in names OpenSSL knows."""

from __future__ import annotations

import dataclasses

import pytest
from OpenSSL import SSL

from sfu.crypto_policy import STANDARD, STRICT, CryptoPolicy, by_name

POLICIES = pytest.mark.parametrize("policy", [STANDARD, STRICT], ids=lambda policy: policy.name)


def test_standard_is_the_table() -> None:
    assert [suite.iana for suite in STANDARD.suites] == [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    ]
    assert [profile.iana for profile in STANDARD.srtp_profiles] == [
        "AEAD_AES_128_GCM",
        "AES128_CM_HMAC_SHA1_80",
    ]
    assert [group.name for group in STANDARD.groups] == ["X25519", "P-256", "P-384"]
    assert STANDARD.tls.minimum_version == "TLSv1.2"
    assert STANDARD.tls.suites_1_2[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_strict_keeps_the_first_of_each() -> None:
    assert STRICT.suites == STANDARD.suites[:1]
    assert STRICT.srtp_profiles == STANDARD.srtp_profiles[:1]
    assert [group.name for group in STRICT.groups] == ["X25519", "P-256"]
    assert STRICT.tls.minimum_version == "TLSv1.3"
    assert STRICT.peer_certificate == STANDARD.peer_certificate


@POLICIES
def test_openssl_knows_every_suite_by_the_name_we_gave_it(policy: CryptoPolicy) -> None:
    for suite in policy.suites:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_cipher_list(suite.openssl.encode())
        assert suite.openssl in SSL.Connection(context).get_cipher_list()


@POLICIES
def test_names_are_found_for_what_is_accepted_and_for_nothing_else(policy: CryptoPolicy) -> None:
    assert policy.suite_name("ECDHE-ECDSA-AES128-GCM-SHA256") == policy.suites[0].iana
    assert policy.suite_name("ECDHE-ECDSA-CHACHA20-POLY1305") is None
    assert policy.group_name("x25519") == "X25519"
    assert policy.group_name("X448") is None
    assert policy.srtp_profile("SRTP_AEAD_AES_128_GCM") == policy.srtp_profiles[0]
    assert policy.srtp_profile("") is None


def test_a_policy_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        STANDARD.suites = ()  # type: ignore[misc]  # what the test is about


def test_policies_have_names() -> None:
    assert by_name("standard") is STANDARD
    assert by_name("strict") is STRICT
    with pytest.raises(ValueError, match="standard, strict"):
        by_name("lax")
