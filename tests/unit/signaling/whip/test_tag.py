"""Entity-tags, and which If-Match lets a request through."""

from __future__ import annotations

import pytest

from signaling.whip.tag import matches


@pytest.mark.parametrize("field", ["*", '"*"', '"now"', ' "now" ', '"old", "now"', 'W/"x","now"'])
def test_the_tag_alone_in_a_list_or_any_tag_lets_through(field: str) -> None:
    assert matches(field, "now")


@pytest.mark.parametrize(
    "field",
    ['"old"', 'W/"now"', "now", '"now', "", '"old" "now"', '"now" and more', '"no\x01w"'],
    ids=["older", "weak", "bare", "open", "empty", "no comma", "trailing", "control"],
)
def test_everything_else_does_not(field: str) -> None:
    assert not matches(field, "now")


def test_a_field_too_long_to_be_honest_is_not_read() -> None:
    assert not matches('"x",' * 2_000 + '"now"', "now")
