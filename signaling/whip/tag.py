"""Entity-tags and the one condition that is asked with them (RFC 9110 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Final

_MAX_FIELD: Final = 4096  # characters; one tag has eighteen
_ONE: Final = r'(?:W/)?"[\x21\x23-\x7e]*"'
_LIST: Final = re.compile(rf"{_ONE}(?:\s*,\s*{_ONE})*")
_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def matches(if_match: str, current: str) -> bool:
    """Whether an If-Match field lets a request through: `*`, or a list that holds the tag. Weak
    tags never match, and what is no list matches nothing. Some clients write `"*"`, as an example
    in RFC 9725 has it.
    """
    field = if_match.strip()
    if field in ("*", '"*"'):
        return True
    if len(field) > _MAX_FIELD or not _LIST.fullmatch(field):
        return False
    return any(not weak and tag == current for weak, tag in _TAG.findall(field))
