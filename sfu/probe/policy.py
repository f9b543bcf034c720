"""What a server must do, stated by whoever probes it: this is not the server's own policy.

`standard` and `strict` are built in. A file is TOML and changes one of them:

    base = "strict"                       # what everything left out is taken from
    name = "my-policy"                    # what reports call it
    suites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]    # IANA names, server order
    srtp_profiles = ["AEAD_AES_128_GCM"]  # IANA names without SRTP_, server order
    groups = ["X25519", "P-256"]          # server order
    versions = ["DTLS 1.2"]
    signatures = ["ecdsa_secp256r1_sha256"]     # IANA names; what the server may sign with
    server_keys = ["ecdsa-p256"]          # kinds of key its media certificate may have
    client_certificates = ["ecdsa-p256"]  # kinds of key it must take from a client; all others not
    unproven_factor = 3.0                 # bytes to an unproven address for each byte from it

    [tls]                                 # the signalling port
    versions = ["TLSv1.2", "TLSv1.3"]
    suites = ["TLS_AES_256_GCM_SHA384"]   # IANA names
    rsa_bits = 2048
    curves = ["secp256r1"]
    hsts = true
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

_SIGNATURES: Final = ("ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384")
_SHARED_TLS_SUITES: Final = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
)


class BadPolicy(Exception):
    """A policy that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """The signalling port."""

    versions: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    suites: tuple[str, ...] = (
        *_SHARED_TLS_SUITES,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    )
    rsa_bits: int = 2048
    curves: tuple[str, ...] = ("secp256r1", "secp384r1")
    hsts: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """What must be accepted; whatever is not named must be refused. Tuples are in server order."""

    name: str
    suites: tuple[str, ...]
    srtp_profiles: tuple[str, ...]
    groups: tuple[str, ...]
    versions: tuple[str, ...] = ("DTLS 1.2",)
    signatures: tuple[str, ...] = _SIGNATURES
    server_keys: tuple[str, ...] = ("ecdsa-p256",)
    client_certificates: tuple[str, ...] = ("ecdsa-p256", "ecdsa-p384", "rsa-2048")
    unproven_factor: float = 3.0
    base: str = "standard"  # what `self` starts its node under
    tls: TlsPolicy = TlsPolicy()


STANDARD: Final = Policy(
    name="standard",
    suites=(
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    ),
    srtp_profiles=("AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"),
    groups=("X25519", "P-256", "P-384"),
)
STRICT: Final = Policy(
    name="strict",
    base="strict",
    suites=STANDARD.suites[:1],
    srtp_profiles=STANDARD.srtp_profiles[:1],
    groups=("X25519", "P-256"),
    tls=TlsPolicy(versions=("TLSv1.3",), suites=_SHARED_TLS_SUITES),
)
_NAMED: Final = {policy.name: policy for policy in (STANDARD, STRICT)}


def load(name_or_file: str) -> Policy:
    """The policy of that name, or of that file. Raises `BadPolicy`."""
    if name_or_file in _NAMED:
        return _NAMED[name_or_file]
    try:
        data = tomllib.loads(Path(name_or_file).read_text())
    except OSError:
        names = ", ".join(_NAMED)
        raise BadPolicy(f"{name_or_file} is neither a policy ({names}) nor a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPolicy(f"{name_or_file} is not TOML: {error}") from None
    base = data.pop("base", "standard")
    if base not in _NAMED:
        raise BadPolicy(f"base = {base!r}: there are {', '.join(_NAMED)}")
    tls = data.pop("tls", {})
    if not isinstance(tls, dict):
        raise BadPolicy("tls is a table")
    data.setdefault("name", Path(name_or_file).stem)
    changed = _changed(_NAMED[base], data, "")
    return replace(changed, tls=_changed(_NAMED[base].tls, tls, "tls."))


_Some = TypeVar("_Some", Policy, TlsPolicy)


def _changed(policy: _Some, data: dict[str, Any], prefix: str) -> _Some:
    """`policy` with what `data` says, each value of the type it replaces."""
    known = {field.name: getattr(policy, field.name) for field in fields(policy)}
    changes: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known or key in ("tls", "base"):
            raise BadPolicy(f"{prefix}{key} is no setting of a policy")
        was = known[key]
        if isinstance(was, tuple):
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise BadPolicy(f"{prefix}{key} is a list of names")
            value = tuple(value)
            if not value:
                raise BadPolicy(f"{prefix}{key} leaves nothing that could be accepted")
        elif isinstance(was, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(was):
            raise BadPolicy(f"{prefix}{key} is of the wrong type")
        changes[key] = value
    return replace(policy, **changes)
