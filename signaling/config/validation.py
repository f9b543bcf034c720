"""From a table of anything to settings: a wrong value is told, and its default put back."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from signaling.config.environment import setting_paths
from signaling.config.mistakes import Mistake, closest
from signaling.config.settings import Settings


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
                path: _typed_mistake(path, detail["type"], detail["msg"])
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


def _typed_mistake(path: tuple[str, ...], kind: str, message: str) -> Mistake:
    key = ".".join(path)
    if kind == "extra_forbidden":
        known = [".".join(known) for known in setting_paths()]
        return Mistake(key, "is not a setting", closest(key, known) or "remove it")
    problem = message[0].lower() + message[1:]
    return Mistake(key, problem, "see `conclave sample-config`")
