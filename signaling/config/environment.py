"""The environment: a variable for every setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from signaling.config.mistakes import Mistake, closest
from signaling.config.settings import Settings, Table

PREFIX: Final = "CONCLAVE_"

# Variables with our prefix that are not settings: the command line reads them.
_NOT_SETTINGS: Final = frozenset({"CONCLAVE_CONFIG"})


def merge_environment(table: dict[str, Any], environ: Mapping[str, str]) -> list[Mistake]:
    """Write every CONCLAVE_ variable over `table`; what names no setting is a mistake."""
    mistakes = []
    for variable, value in sorted(environ.items()):
        if not variable.upper().startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        path = _setting_of(variable[len(PREFIX) :].split("__"))
        if path is None:
            known = [name.removeprefix(PREFIX) for name in variable_names()]
            meant = closest(variable[len(PREFIX) :], known)
            remedy = f"did you mean {PREFIX}{meant}?" if meant else "unset it"
            mistakes.append(Mistake(variable, "names no setting", remedy))
            continue
        target = table
        for part in path[:-1]:
            inner = target.setdefault(part, {})
            target = inner if isinstance(inner, dict) else {}
        target[path[-1]] = value
    return mistakes


def variable_names() -> list[str]:
    """The environment variable of every setting; `NAME` stands for an API key's name."""
    return [PREFIX + "__".join(_shout(path)) for path in setting_paths()]


def setting_paths() -> list[tuple[str, ...]]:
    """Every setting as a path of keys; `NAME` stands for an API key's name."""
    paths: list[tuple[str, ...]] = []
    for name, info in Settings.model_fields.items():
        inner = _table_of(info)
        if inner is None:
            paths.append((name,))
            continue
        between = ("NAME",) if _is_named_tables(info) else ()
        paths += [(name, *between, key) for key in inner.model_fields]
    return paths


def _shout(path: tuple[str, ...]) -> list[str]:
    return [part.upper() for part in path]


def _setting_of(parts: list[str]) -> tuple[str, ...] | None:
    """The path a variable's parts name: letters' case is free except in an API key's name."""
    for path in setting_paths():
        if len(path) == len(parts) and all(
            (expected == "NAME" and part) or part.lower() == expected
            for part, expected in zip(parts, path, strict=True)
        ):
            return tuple(
                part if expected == "NAME" else expected
                for part, expected in zip(parts, path, strict=True)
            )
    return None


def _table_of(info: FieldInfo) -> type[BaseModel] | None:
    annotation = info.annotation
    if _is_named_tables(info):
        annotation = get_args(annotation)[1]
    return annotation if isinstance(annotation, type) and issubclass(annotation, Table) else None


def _is_named_tables(info: FieldInfo) -> bool:
    return get_origin(info.annotation) is dict
