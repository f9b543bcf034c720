"""The bare forwarder is built of the very crypto that the relay is built of."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from bench.machine import ROOT

CRYPTO = "aws-lc-rs"
BARE, RELAY = ROOT / "bench" / "bare", ROOT / "sfu" / "relay"


def test_it_takes_the_same_version_and_features() -> None:
    bare = tomllib.loads((BARE / "Cargo.toml").read_text())["dependencies"]
    relay = tomllib.loads((RELAY / "Cargo.toml").read_text())["workspace"]["dependencies"]
    assert bare[CRYPTO] == relay[CRYPTO]


@pytest.mark.parametrize("profile", ["dev", "release"])
def test_it_is_compiled_alike(profile: str) -> None:
    crypto = built_with(CRYPTO, locked(BARE))
    bare, relay = (compiled(crate / "Cargo.toml", profile, crypto) for crate in (BARE, RELAY))
    assert bare == relay


def test_all_that_the_crypto_is_built_with_is_locked_alike() -> None:
    """One crate that differs, and cargo compiles the whole of AWS-LC a second time."""
    bare, relay = (built_with(CRYPTO, locked(crate)) for crate in (BARE, RELAY))
    assert len(bare) > 5
    assert bare.items() <= relay.items()  # the relay has more of one crate's optional parts


def compiled(manifest: Path, profile: str, crates: Collection[str]) -> dict[str, Any]:
    """A profile as it is for these crates, without what is cargo's default anyway."""
    settings = dict(tomllib.loads(manifest.read_text())["profile"][profile])
    if settings.get("panic") == "unwind":
        del settings["panic"]
    for name in list(settings.get("package", {})):
        if name != "*" and name not in crates:
            del settings["package"][name]
    return settings


def locked(crate: Path) -> dict[str, dict[str, Any]]:
    packages = tomllib.loads((crate / "Cargo.lock").read_text())["package"]
    return {package["name"]: package for package in packages}


def built_with(name: str, packages: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The version of a package and of everything it is built with."""
    found, waiting = {}, [name]
    while waiting:
        package = packages[waiting.pop().split()[0]]
        if package["name"] not in found:
            found[package["name"]] = package["version"]
            waiting += package.get("dependencies", [])
    return found
