"""From a table of anything to settings: a wrong value is told, and its default put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from signaling.config.environment import setting_paths
from signaling.config.mistakes import Mistake, closest
from signaling.config.settings import Settings

_SEE: Final = "see `conclave sample-config`"
_DURATION: Final = 'seconds, or a number with s, m, h or d in quotes: "10s"'


def validate(table: dict[str, Any]) -> tuple[Settings, list[Mistake]]:
    """The settings with every wrong value put back to its default, and what was wrong.

    So that the checks which need whole settings can run, and add theirs to the same list.
    """
    mistakes: dict[tuple[str, ...], Mistake] = {}
    while True:
        try:
            return Settings(**table), list(mistakes.values())
        except ValidationError as error:
            found = {
                path: _typed_mistake(path, detail["type"], detail["msg"], detail.get("ctx", {}))
                for detail in reversed(error.errors(include_input=False, include_url=False))
                if (path := _present(table, detail["loc"]))
            }
            if not found:  # a default that is wrong by itself: our bug, not theirs
                raise
            mistakes |= reversed(found.items())
            for path in found:
                _drop(table, path)


def _present(table: dict[str, Any], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """As much of `loc` as the table really holds: pydantic adds the names of types."""
    path: list[str] = []
    target: Any = table
    for part in loc:
        if not isinstance(part, str) or not isinstance(target, dict) or part not in target:
            break
        path.append(part)
        target = target[part]
    return tuple(path)


def _drop(table: dict[str, Any], path: tuple[str, ...]) -> None:
    for part in path[:-1]:
        table = table.get(part, {})
    table.pop(path[-1], None)


# What pydantic's types of error mean to whoever wrote the value, which is never repeated: it may be
# a secret in the wrong place.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "dict_type": ("must be a table", "write it as [{key}]"),
    "float_parsing": ("must be a duration", _DURATION),
    "float_type": ("must be a duration", _DURATION),
    "greater_than": ("must be more than {gt:g}", _SEE),
    "greater_than_equal": ("must be at least {ge:g}", _SEE),
    "int_from_float": ("must be a whole number", _SEE),
    "int_parsing": ("must be a whole number", _SEE),
    "int_type": ("must be a whole number", _SEE),
    "ip_any_address": ("must be an IP address", "names are not resolved: 203.0.113.7, 2001:db8::7"),
    "ip_any_network": ("must be an IP address or network", "10.0.0.1, 10.1.0.0/16, fd00::/8"),
    "less_than_equal": ("must be at most {le:g}", _SEE),
    "literal_error": ("must be {expected}", _SEE),
    "enum": ("must be {expected}", _SEE),
    "model_type": ("must be a table", "write it as [{key}]"),
    "path_type": ("must be a path in quotes", _SEE),
    "string_type": ("must be text in quotes", _SEE),
    "tuple_type": ("must be a list", '["one", "another"]'),
}


def _typed_mistake(
    path: tuple[str, ...], kind: str, message: str, context: Mapping[str, Any]
) -> Mistake:
    key = ".".join(path)
    if kind == "extra_forbidden":
        meant = closest(key, _known_beside(path))
        return Mistake(key, "is not a setting", f"did you mean {meant}?" if meant else "remove it")
    if kind not in _WORDS:
        return Mistake(key, message[0].lower() + message[1:], _SEE)
    problem, remedy = _WORDS[kind]
    given = {"key": key, **context}
    return Mistake(key, problem.format(**given), remedy.format(**given))


def _known_beside(path: tuple[str, ...]) -> set[str]:
    """What could have been meant there: settings, and tables when no table is named."""
    paths = setting_paths()
    if len(path) == 1:
        return {known[0] for known in paths}
    named = path[1] if len(path) > 2 else "NAME"
    return {".".join(named if part == "NAME" else part for part in known) for known in paths}
