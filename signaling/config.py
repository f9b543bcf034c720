"""The settings: one object, parsed once from a TOML file and the environment.

Every mistake is gathered before any is shown: :class:`ConfigError` carries them all.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from signaling.identity.livekit_token import DEFAULT_MAX_LIFETIME, MIN_SECRET_BYTES, ApiKey
from signaling.server.private import PrivateFileError, read_file, read_private
from signaling.server.tls import TlsPolicy, check_pair

PREFIX: Final = "CONCLAVE_"
SAMPLE: Final = Path(__file__).with_name("conclave.sample.toml")

# Variables with our prefix that are not settings: the command line reads them.
_NOT_SETTINGS: Final = frozenset({"CONCLAVE_CONFIG"})
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with the settings: where, what, and what to do about it."""

    key: str
    problem: str
    remedy: str


class ConfigError(Exception):
    """The settings cannot be used; all that is wrong with them, in the file's order."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{m.key}: {m.problem}" for m in mistakes))
        self.mistakes = mistakes


def _duration(value: object) -> object:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)", value)):
        return float(match[1]) * _UNITS.get(match[2], 1)
    return value


def _listed(value: object) -> object:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


Seconds = Annotated[float, BeforeValidator(_duration)]
Port = Annotated[int, Field(ge=0, le=65535)]
Addresses = Annotated[tuple[IPvAnyAddress, ...], BeforeValidator(_listed)]
Networks = Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_listed)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Listen(_Table):
    """Where signalling and the page are served, and whom to believe about client addresses."""

    host: IPvAnyAddress = ipaddress.IPv4Address("127.0.0.1")
    port: Port = 7880
    trusted_proxies: Networks = ()
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"


class Tls(_Table):
    """The certificate chain and its private key, in PEM."""

    certificate_file: Path | None = None
    key_file: Path | None = None


Suite = Literal["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"]
SrtpProfile = Literal["AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"]


class MediaSettings(_Table):
    """Where media is received, what addresses clients are given, and how the policy narrows."""

    port: Port = 7882
    bind: Addresses = (ipaddress.IPv4Address("0.0.0.0"), ipaddress.IPv6Address("::"))  # noqa: S104 (media is meant for the world)
    interfaces: Names = ()
    advertise: Addresses = ()
    suites: Annotated[tuple[Suite, ...], BeforeValidator(_listed)] = ()
    srtp_profiles: Annotated[tuple[SrtpProfile, ...], BeforeValidator(_listed)] = ()


class Key(_Table):
    """One API key."""

    secret: SecretStr | None = None
    secret_file: Path | None = None
    max_token_lifetime: Annotated[Seconds, Field(gt=0)] = DEFAULT_MAX_LIFETIME


class LimitSettings(_Table):
    """What one address, one message, one room and the whole server may take; 0 lifts a rate."""

    joins_per_minute: Annotated[int, Field(ge=0)] = 120
    connections_per_address: Annotated[int, Field(ge=0)] = 256
    max_message_bytes: Annotated[int, Field(ge=64 * 1024, le=16 * 1024**2)] = 2 * 1024**2
    max_header_bytes: Annotated[int, Field(ge=8 * 1024, le=64 * 1024)] = 32 * 1024
    max_rooms: Annotated[int, Field(ge=1)] = 1000
    max_participants_per_room: Annotated[int, Field(ge=1)] = 500
    max_participants: Annotated[int, Field(ge=1)] = 5000


class Admin(_Table):
    """Where metrics and health are served."""

    host: IPvAnyAddress = ipaddress.IPv4Address("127.0.0.1")
    port: Port = 7881
    token: SecretStr | None = None
    token_file: Path | None = None


class Log(_Table):
    """How the server speaks."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Shutdown(_Table):
    """How the server leaves."""

    grace: Annotated[Seconds, Field(ge=0, le=600)] = 10.0


class Settings(BaseSettings):
    """All that can be set. `keys` and `admin.token` hold secrets read from their files already."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    state_dir: Path = Path("/var/lib/conclave")
    policy: TlsPolicy = TlsPolicy.STANDARD
    listen: Listen = Listen()
    tls: Tls = Tls()
    media: MediaSettings = MediaSettings()
    keys: dict[str, Key] = Field(default_factory=dict)
    limits: LimitSettings = LimitSettings()
    admin: Admin = Admin()
    log: Log = Log()
    shutdown: Shutdown = Shutdown()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` merged: its own reader of the environment knows unknown names."""
        return (init_settings,)

    def api_keys(self) -> dict[str, ApiKey]:
        """The API keys by name; those of settings that were loaded always have their secret."""
        return {
            name: ApiKey(key.secret.get_secret_value().encode(), key.max_token_lifetime)
            for name, key in self.keys.items()
            if key.secret is not None
        }


def load(path: Path | None, environ: Mapping[str, str], now: float) -> Settings:
    """The settings of a server, from the file and then the environment.

    `now` (Unix seconds) is for the certificate's dates. Raises ConfigError.
    """
    folder = path.parent if path is not None else Path()
    table, mistakes = _file_table(path)
    if path is not None and _holds_secret(table):
        mistakes += _private_mistake(path)
    mistakes += merge_environment(table, environ)
    settings, typed = _validate(table)
    mistakes += typed
    settings = _rooted(settings, folder)
    settings, unreadable = _with_secrets(settings)
    mistakes += unreadable
    mistakes += _new(mistakes, _server_mistakes(settings, now))
    if mistakes:
        raise ConfigError(mistakes)
    return settings


def load_development(defaults: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """The settings of `--dev`: `defaults` under the environment, loopback only.

    Raises ConfigError.
    """
    table = {name: dict(v) if isinstance(v, dict) else v for name, v in defaults.items()}
    mistakes = merge_environment(table, environ)
    settings, typed = _validate(table)
    settings, unreadable = _with_secrets(settings)
    mistakes += [*typed, *unreadable, *_narrowing_mistakes(settings)]
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


def merge_environment(table: dict[str, Any], environ: Mapping[str, str]) -> list[Mistake]:
    """Write every CONCLAVE_ variable over `table`; what names no setting is a mistake."""
    mistakes = []
    for variable, value in sorted(environ.items()):
        if not variable.upper().startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        path = _setting_of(variable[len(PREFIX) :].split("__"))
        if path is None:
            remedy = _closest(variable, variable_names()) or "unset it"
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
    return annotation if isinstance(annotation, type) and issubclass(annotation, _Table) else None


def _is_named_tables(info: FieldInfo) -> bool:
    return get_origin(info.annotation) is dict


def _file_table(path: Path | None) -> tuple[dict[str, Any], list[Mistake]]:
    if path is None:
        return {}, []
    try:
        return tomllib.loads(read_file(path).decode()), []
    except PrivateFileError as error:
        return {}, [Mistake("file", error.problem, error.remedy)]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [Mistake("file", f"{path} is not TOML: {error}", "correct it there")]


def _validate(table: dict[str, Any]) -> tuple[Settings, list[Mistake]]:
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
        return Mistake(key, "is not a setting", _closest(key, known) or "remove it")
    problem = message[0].lower() + message[1:]
    return Mistake(key, problem, "see `conclave sample-config`")


def _closest(word: str, known: list[str]) -> str | None:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else None


def _new(known: list[Mistake], more: list[Mistake]) -> list[Mistake]:
    """Those of `more` whose key, or whose table, is not in the list yet."""
    keys = {mistake.key for mistake in known}
    return [m for m in more if m.key not in keys and m.key.rpartition(".")[0] not in keys]


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


def _with_secrets(settings: Settings) -> tuple[Settings, list[Mistake]]:
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


def _holds_secret(table: dict[str, Any]) -> bool:
    keys, admin = table.get("keys"), table.get("admin")
    inline = [key.get("secret") for key in _tables(keys.values() if isinstance(keys, dict) else ())]
    inline += [admin.get("token") for admin in _tables([admin])]
    return any(inline)


def _tables(values: Iterable[object]) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]


def _private_mistake(path: Path) -> list[Mistake]:
    try:
        read_private(path)
    except PrivateFileError as error:
        return [Mistake("file", error.problem, error.remedy)]
    return []


def _server_mistakes(settings: Settings, now: float) -> list[Mistake]:
    mistakes = _tls_mistakes(settings, now)
    if not settings.keys:
        mistakes.append(
            Mistake("keys", "is empty, so nobody could join", "add a table [keys.NAME]")
        )
    if not settings.admin.host.is_loopback and settings.admin.token is None:
        mistakes.append(
            Mistake("admin.host", "is open to others without a token", "set admin.token_file")
        )
    if settings.admin.port == settings.listen.port != 0:
        mistakes.append(Mistake("admin.port", "is also listen.port", "choose another port"))
    mistakes += _narrowing_mistakes(settings)
    mistakes += [
        Mistake(
            "listen.trusted_proxies",
            f"{network} would let anybody invent an address",
            "name the proxies themselves",
        )
        for network in settings.listen.trusted_proxies
        if network.prefixlen == 0
    ]
    return mistakes


def _narrowing_mistakes(settings: Settings) -> list[Mistake]:
    if settings.policy is not TlsPolicy.STRICT:
        return []
    return [
        Mistake(
            f"media.{key}",
            f"leaves nothing of the strict policy, which has only {only}",
            "empty it",
        )
        for key, named, only in (
            ("suites", settings.media.suites, get_args(Suite)[0]),
            ("srtp_profiles", settings.media.srtp_profiles, get_args(SrtpProfile)[0]),
        )
        if named and only not in named
    ]


def _tls_mistakes(settings: Settings, now: float) -> list[Mistake]:
    certificate, key = settings.tls.certificate_file, settings.tls.key_file
    missing = [
        Mistake(
            f"tls.{name}",
            f"is missing, and {settings.listen.host} is never served without TLS",
            f"name the PEM file of the {what}, or try `conclave serve --dev`",
        )
        for name, what, path in (
            ("certificate_file", "certificate chain", certificate),
            ("key_file", "private key", key),
        )
        if path is None
    ]
    if certificate is None or key is None:
        return missing
    try:
        check_pair(certificate, key, settings.policy, now)
    except PrivateFileError as error:
        return [Mistake("tls", error.problem, error.remedy)]
    return []
