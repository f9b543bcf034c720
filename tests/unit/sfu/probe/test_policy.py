"""Policies of the probe, and the files that change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfu.probe import policy
from sfu.probe.policy import STANDARD, STRICT, BadPolicy


def _file(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    loaded = policy.load(
        _file(
            tmp_path,
            'base = "strict"\ngroups = ["P-256"]\nunproven_factor = 2\n'
            '[tls]\nversions = ["TLSv1.2", "TLSv1.3"]\nhsts = false\n',
        )
    )
    assert (loaded.name, loaded.base, loaded.groups) == ("mine", "strict", ("P-256",))
    assert loaded.unproven_factor == 2.0
    assert loaded.suites == STRICT.suites
    assert (loaded.tls.versions, loaded.tls.hsts) == (("TLSv1.2", "TLSv1.3"), False)
    assert loaded.tls.suites == STRICT.tls.suites


def test_the_named_ones_need_no_file() -> None:
    assert policy.load("standard") is STANDARD
    assert policy.load("strict") is STRICT


BAD = {
    "no TOML": ("groups = [", "is not TOML"),
    "an unknown setting": ("colour = 1", "colour is no setting"),
    "an unknown setting of TLS": ("[tls]\ncolour = 1", "tls.colour is no setting"),
    "an unknown base": ('base = "lax"', "base = 'lax'"),
    "a name for a list": ('suites = "all"', "suites is a list of names"),
    "numbers for names": ("suites = [1]", "suites is a list of names"),
    "nothing": ("suites = []", "suites leaves nothing"),
    "a word for a number": ('unproven_factor = "3"', "unproven_factor is of the wrong type"),
    "a number for a yes": ("[tls]\nhsts = 1", "tls.hsts is of the wrong type"),
    "a word for a table": ('tls = "none"', "tls is a table"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_cannot_be_used_says_why(what: str, tmp_path: Path) -> None:
    text, sentence = BAD[what]
    with pytest.raises(BadPolicy, match=sentence):
        policy.load(_file(tmp_path, text))
