"""docs/running.md says what is true of the code: its codes, settings and ports exist."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from signaling import config
from signaling.__main__ import BAD_CONFIG
from signaling.config import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "running.md").read_text()
SOURCES = [
    path.read_text()
    for folder, suffix in (("signaling", "*.py"), ("sfu", "*.py"), ("sfu/relay", "*/src/**/*.rs"))
    for path in (ROOT / folder).rglob(suffix)
]


@pytest.mark.parametrize("word", sorted(set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE))))
def test_a_code_or_name_on_the_page_is_in_the_code(word: str) -> None:
    # Metrics get "conclave_" and "_total" from the code that renders them
    bare = word.removeprefix("conclave_").removesuffix("_total")
    assert any(re.search(rf"\b(?:conclave_)?{bare}\b", source) for source in SOURCES)


def test_settings_on_the_page_exist() -> None:
    tables = "|".join(sorted({path[0] for path in config.setting_paths() if len(path) == 2}))
    named = set(re.findall(rf"`((?:{tables})\.[a-z_]+)\b", PAGE))
    assert named
    assert named <= {".".join(path) for path in config.setting_paths()}


def test_the_ports_on_the_page_are_the_defaults() -> None:
    ours = Settings()
    for port, kind in (
        (ours.listen.port, "tcp"),
        (ours.media.port, "udp"),
        (ours.admin.port, "tcp"),
    ):
        assert f"| {port}/{kind} |" in PAGE


def test_the_unit_waits_longer_than_the_grace_and_gives_up_on_bad_settings() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "conclave.service")
    service = unit["Service"]
    assert float(service["TimeoutStopSec"]) > Settings().shutdown.grace + 10
    assert int(service["RestartPreventExitStatus"]) == BAD_CONFIG
