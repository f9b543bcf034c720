"""Every setting there is, as tables of values with their types, ranges and defaults."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    SecretStr,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from signaling.identity.livekit_token import DEFAULT_MAX_LIFETIME, ApiKey
from signaling.server.tls import TlsPolicy

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: object) -> object:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)", value)):
        return float(match[1]) * _UNITS.get(match[2], 1)
    return value


def _listed(value: object) -> object:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _cores(value: object) -> object:
    """ "auto" is as many workers as cores that this process may use."""
    return min(MAX_WORKERS, len(os.sched_getaffinity(0))) if value == "auto" else value


MAX_WORKERS: Final = 64

Seconds = Annotated[float, BeforeValidator(_duration)]
Port = Annotated[int, Field(ge=0, le=65535)]
Addresses = Annotated[tuple[IPvAnyAddress, ...], BeforeValidator(_listed)]
Networks = Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_listed)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Listen(Table):
    """Where signalling and the page are served, and whom to believe about client addresses."""

    host: IPvAnyAddress = ipaddress.IPv4Address("127.0.0.1")
    port: Port = 7880
    trusted_proxies: Networks = ()
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"


class Tls(Table):
    """The certificate chain and its private key, in PEM."""

    certificate_file: Path | None = None
    key_file: Path | None = None


Suite = Literal["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"]
SrtpProfile = Literal["AEAD_AES_128_GCM", "AES128_CM_HMAC_SHA1_80"]


class MediaSettings(Table):
    """Where media is received, what addresses clients are given, and how the policy narrows."""

    port: Port = 7882
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS), BeforeValidator(_cores)] = 1
    spill_at: Annotated[float, Field(gt=0, le=1)] = 0.7
    coalesce_us: Annotated[int, Field(ge=0, le=1000)] = 1000
    bind: Addresses = (ipaddress.IPv4Address("0.0.0.0"), ipaddress.IPv6Address("::"))  # noqa: S104 (media is meant for the world)
    interfaces: Names = ()
    advertise: Addresses = ()
    suites: Annotated[tuple[Suite, ...], BeforeValidator(_listed)] = ()
    srtp_profiles: Annotated[tuple[SrtpProfile, ...], BeforeValidator(_listed)] = ()

    @property
    def ports(self) -> str:
        """As a person writes them: "7882", or with more workers "7882-7885"."""
        if not self.port or self.workers == 1:
            return str(self.port)
        return f"{self.port}-{self.port + self.workers - 1}"


class Key(Table):
    """One API key."""

    secret: SecretStr | None = None
    secret_file: Path | None = None
    max_token_lifetime: Annotated[Seconds, Field(gt=0)] = DEFAULT_MAX_LIFETIME


class LimitSettings(Table):
    """What one address, one message, one room and the whole server may take; 0 lifts a rate."""

    joins_per_minute: Annotated[int, Field(ge=0)] = 120
    connections_per_address: Annotated[int, Field(ge=0)] = 256
    max_message_bytes: Annotated[int, Field(ge=64 * 1024, le=16 * 1024**2)] = 2 * 1024**2
    max_header_bytes: Annotated[int, Field(ge=8 * 1024, le=64 * 1024)] = 32 * 1024
    max_rooms: Annotated[int, Field(ge=1)] = 1000
    max_participants_per_room: Annotated[int, Field(ge=1)] = 500
    max_participants: Annotated[int, Field(ge=1)] = 5000
    max_handshakes: Annotated[int, Field(ge=1)] = 256


class Admin(Table):
    """Where metrics and health are served."""

    host: IPvAnyAddress = ipaddress.IPv4Address("127.0.0.1")
    port: Port = 7881
    token: SecretStr | None = None
    token_file: Path | None = None


class Log(Table):
    """How the server speaks."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Shutdown(Table):
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
