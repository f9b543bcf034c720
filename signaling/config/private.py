"""Secrets: in files of their own or in the settings file, never where others may read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from signaling.config.mistakes import Mistake
from signaling.config.settings import Settings
from signaling.identity.livekit_token import MIN_SECRET_BYTES
from signaling.server.private import PrivateFileError, read_private


def with_secrets(settings: Settings) -> tuple[Settings, list[Mistake]]:
    mistakes: list[Mistake] = []
    keys = {}
    for name, key in settings.keys.items():
        where = f"keys.{name}"
        secret = _secret(f"{where}.secret", key.secret, key.secret_file, mistakes)
        if key.secret is None and key.secret_file is None:
            mistakes.append(Mistake(where, "has no secret", "set secret_file"))
        keys[name] = key.model_copy(update={"secret": secret})
    token = _secret("admin.token", settings.admin.token, settings.admin.token_file, mistakes)
    admin = settings.admin.model_copy(update={"token": token})
    return settings.model_copy(update={"keys": keys, "admin": admin}), mistakes


def _secret(
    key: str, inline: SecretStr | None, file: Path | None, mistakes: list[Mistake]
) -> SecretStr | None:
    if inline is not None and file is not None:
        mistakes.append(Mistake(key, f"is given twice, also as {key}_file", "keep one of them"))
        return None
    if file is not None:
        try:
            inline = SecretStr(read_private(file).decode().strip())
        except PrivateFileError as error:
            mistakes.append(Mistake(f"{key}_file", error.problem, error.remedy))
            return None
        except UnicodeDecodeError:
            mistakes.append(Mistake(f"{key}_file", "is not text", "write it in hex or base64"))
            return None
    if inline is not None and len(inline.get_secret_value().encode()) < MIN_SECRET_BYTES:
        remedy = f"use at least {MIN_SECRET_BYTES} bytes: openssl rand -hex 32"
        mistakes.append(Mistake(key, "is too short to be safe", remedy))
        return None
    return inline


def holds_secret(table: dict[str, Any]) -> bool:
    keys, admin = table.get("keys"), table.get("admin")
    inline = [key.get("secret") for key in _tables(keys.values() if isinstance(keys, dict) else ())]
    inline += [admin.get("token") for admin in _tables([admin])]
    return any(inline)


def _tables(values: Iterable[object]) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]


def private_mistake(path: Path) -> list[Mistake]:
    try:
        read_private(path)
    except PrivateFileError as error:
        return [Mistake("file", error.problem, error.remedy)]
    return []
