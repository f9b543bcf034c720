"""Reading the settings: the file, then the environment, then the files they name."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from signaling.config.checks import narrowing_mistakes, server_mistakes, worker_mistakes
from signaling.config.environment import merge_environment
from signaling.config.mistakes import ConfigError, Mistake
from signaling.config.private import holds_secret, private_mistake, with_secrets
from signaling.config.settings import Settings, Tls
from signaling.config.validation import validate
from signaling.server.private import PrivateFileError, read_file

SAMPLE: Final = Path(__file__).parents[1] / "conclave.sample.toml"


def load(path: Path | None, environ: Mapping[str, str], now: float) -> Settings:
    """The settings of a server, from the file and then the environment.

    `now` (Unix seconds) is for the certificate's dates. Raises ConfigError.
    """
    folder = path.parent if path is not None else Path()
    table, mistakes = _file_table(path)
    if mistakes:  # all else would be said of settings that nobody has written
        raise ConfigError([*mistakes, *merge_environment({}, environ)])
    if path is not None and holds_secret(table):
        mistakes += private_mistake(path)
    mistakes += merge_environment(table, environ)
    place = _places(table)
    settings, typed = validate(table)
    mistakes += typed
    settings = _rooted(settings, folder)
    settings, unreadable = with_secrets(settings)
    mistakes += _new(mistakes, unreadable)
    mistakes += _new(mistakes, server_mistakes(settings, now))
    if mistakes:
        raise ConfigError(sorted(mistakes, key=lambda mistake: place(mistake.key)))
    return settings


def load_development(defaults: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """The settings of `--dev`: `defaults` under the environment, loopback only.

    Raises ConfigError.
    """
    table = {name: dict(v) if isinstance(v, dict) else v for name, v in defaults.items()}
    mistakes = merge_environment(table, environ)
    settings, typed = validate(table)
    settings, unreadable = with_secrets(settings)
    mistakes += [*typed, *unreadable, *narrowing_mistakes(settings), *worker_mistakes(settings)]
    bound = {"listen.host": settings.listen.host, "admin.host": settings.admin.host}
    bound |= {f"media.bind[{i}]": address for i, address in enumerate(settings.media.bind)}
    mistakes += [
        Mistake(
            key, f"{address} is not loopback", "--dev serves this machine only: 127.0.0.1 or ::1"
        )
        for key, address in bound.items()
        if not address.is_loopback
    ]
    if mistakes:
        raise ConfigError(mistakes)
    return settings


def _file_table(path: Path | None) -> tuple[dict[str, Any], list[Mistake]]:
    if path is None:
        return {}, []
    try:
        return tomllib.loads(read_file(path).decode()), []
    except PrivateFileError as error:
        return {}, [Mistake("file", error.problem, error.remedy)]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [Mistake("file", f"{path} is not TOML: {error}", "correct it there")]


def _places(table: Mapping[str, Any]) -> Callable[[str], int]:
    """Where each key stands in the file; what stands nowhere comes last, as `file` comes first."""
    order = {"file": 0}

    def walk(inside: Mapping[str, Any], prefix: str) -> None:
        for key, value in inside.items():
            order[prefix + key] = len(order)
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")

    walk(table, "")
    return lambda key: order.get(key, order.get(key.rpartition(".")[0], len(order)))


def _new(known: list[Mistake], more: list[Mistake]) -> list[Mistake]:
    """Those of `more` whose key is not in the list yet, nor its table, nor anything in it."""
    keys = {mistake.key for mistake in known}
    around = keys | {key.rpartition(".")[0] for key in keys}
    return [m for m in more if m.key not in around and m.key.rpartition(".")[0] not in keys]


def _rooted(settings: Settings, folder: Path) -> Settings:
    """Relative paths start where the file lies."""
    keys = {
        name: key.model_copy(update={"secret_file": key.secret_file and folder / key.secret_file})
        for name, key in settings.keys.items()
    }
    tls, admin = settings.tls, settings.admin
    return settings.model_copy(
        update={
            "state_dir": (folder / settings.state_dir).absolute(),
            "keys": keys,
            "tls": Tls(
                certificate_file=tls.certificate_file and folder / tls.certificate_file,
                key_file=tls.key_file and folder / tls.key_file,
            ),
            "admin": admin.model_copy(
                update={"token_file": admin.token_file and folder / admin.token_file}
            ),
        }
    )
