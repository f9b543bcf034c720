"""The `conclave` command: serve, check-config, token, probe, sample-config, version."""

from __future__ import annotations

import os
import ssl
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from signaling import app as application
from signaling import config
from signaling.app import Development, Listening, StartError, SystemClock
from signaling.config import ConfigError, Mistake, Settings
from signaling.domain.grants import TrackSource
from signaling.identity.livekit_token import MIN_SECRET_BYTES, ApiKey, mint
from signaling.server import build
from signaling.server.private import PrivateFileError, read_private

BAD_CONFIG = 2

cli = typer.Typer(
    name="conclave",
    help="A secure real-time calls server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # rich's tracebacks print local variables: tokens, keys
)
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="CONCLAVE_CONFIG", help="The settings file (TOML)."),
]
StateDir = Annotated[
    Path,
    typer.Option(
        envvar="CONCLAVE_STATE_DIR",
        help="Where --dev keeps its certificate and API key.",
        show_default=True,
    ),
]
_STATE_DIR = Path(".conclave")


def main() -> None:
    """The `conclave` command."""
    cli()


@cli.command()
def serve(
    config_file: ConfigPath = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Serve this machine only, with keys made for it.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65533, help="With --dev: the port.")] = 7880,
    state_dir: StateDir = _STATE_DIR,
    plaintext: Annotated[
        bool, typer.Option("--plaintext", help="With --dev: no TLS, for tools that know none.")
    ] = False,
) -> None:
    """Serve calls, until SIGTERM or Ctrl-C."""
    if dev == (config_file is not None):
        _fail("Say either --config FILE or --dev.", "`conclave sample-config` prints a file.")
    if plaintext and not dev:
        _fail("--plaintext is for --dev only.", "Leave it out.")
    try:
        if dev:
            settings, development = application.development(
                os.environ, state_dir, port, plaintext=plaintext
            )
            application.serve(
                settings, lambda at: _announce_development(at, settings, development), development
            )
        else:
            settings = _load(config_file)
            application.serve(settings, lambda at: _announce(at, settings))
    except ConfigError as error:
        _fail_config(error.mistakes)
    except PrivateFileError as error:
        _fail(f"{error.problem}.", f"{error.remedy}.")
    except StartError as error:
        _fail(error.problem, error.remedy)


@cli.command("check-config")
def check_config(config_file: ConfigPath = None) -> None:
    """Read the settings as `serve` would and list all that is wrong with them."""
    settings = _load(config_file)
    where = str(config_file) if config_file else "the environment"
    _out.print(
        f"[green]Good.[/] {escape(where)}: policy {settings.policy.value}, "
        f"{len(settings.keys)} API key(s), signalling on port {settings.listen.port}, "
        f"media on port {settings.media.ports}."
    )


@cli.command("sample-config")
def sample_config() -> None:
    """Print a settings file with every setting explained."""
    sys.stdout.write(config.SAMPLE.read_text())


@cli.command()
def token(
    room: Annotated[str, typer.Option(help="The room to join.")],
    identity: Annotated[str, typer.Option(help="Who joins; one session per identity.")],
    key: Annotated[
        str | None, typer.Option(help="The API key; needed when there is more than one.")
    ] = None,
    config_file: ConfigPath = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="The key's secret, instead of a settings file.")
    ] = None,
    state_dir: StateDir = _STATE_DIR,
    name: Annotated[str, typer.Option(help="The name others see.")] = "",
    ttl: Annotated[float, typer.Option(help="Seconds the token lives.", min=1)] = 3600,
    no_publish: Annotated[bool, typer.Option("--no-publish", help="May not send media.")] = False,
    no_subscribe: Annotated[
        bool, typer.Option("--no-subscribe", help="May not receive media.")
    ] = False,
    no_data: Annotated[bool, typer.Option("--no-data", help="May not send data.")] = False,
    source: Annotated[
        list[TrackSource] | None, typer.Option(help="May send only this; repeatable.")
    ] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Others do not see it.")] = False,
) -> None:
    """Print a token to join a room with, signed by a key of --config or of the --dev server."""
    api_key, used = _api_key(key, config_file, secret_file, state_dir)
    if ttl > used.max_lifetime:
        _fail(f"{api_key} allows at most {used.max_lifetime:.0f} s.", "Choose a shorter --ttl.")
    try:
        minted = mint(
            api_key,
            used.secret,
            identity=identity,
            room=room,
            now=SystemClock().now(),
            ttl=ttl,
            name=name,
            can_publish=not no_publish,
            can_subscribe=not no_subscribe,
            can_publish_data=not no_data,
            sources=source or (),
            hidden=hidden,
        )
    except ValueError as error:
        _fail(f"{str(error).capitalize()}.", "")
    sys.stdout.write(minted + "\n")


@cli.command()
def probe(
    target: Annotated[
        str,
        typer.Argument(
            help="livekit+wss://HOST, whip+https://HOST/PATH, whep+https://HOST/PATH, or self: "
            "a node started for the purpose."
        ),
    ],
    policy: Annotated[
        str, typer.Option(help="standard, strict, or a TOML file (docs/conformance.md).")
    ] = "standard",
    access_token: Annotated[
        list[str] | None,
        typer.Option(
            "--token",
            envvar="CONCLAVE_PROBE_TOKEN",
            show_envvar=True,
            help="Lets the probe in. Repeatable: rows with two peers need tokens of two people.",
        ),
    ] = None,
    beside: Annotated[
        str, typer.Option(help="The whep+https:// beside a whip+https:// target, or the reverse.")
    ] = "",
    ca: Annotated[
        Path | None, typer.Option(help="Trust this authority for TLS.", exists=True)
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust any certificate for TLS.")
    ] = False,
    row: Annotated[
        list[str] | None, typer.Option(help="Only rows whose id begins so; repeatable.")
    ] = None,
    json: Annotated[str, typer.Option(help="Write JSON to this file; - is the output.")] = "",
    junit: Annotated[str, typer.Option(help="Write JUnit XML to this file.")] = "",
    seconds: Annotated[float, typer.Option(help="After which the run ends.", min=1)] = 600,
    at_once: Annotated[int, typer.Option(help="Rows that run at the same time.", min=1)] = 12,
) -> None:
    """Prove on the wire which crypto a server accepts: ours or anybody's.

    Exits with 0 when nothing falls short of the policy, 1 when something does, 2 when the server
    could not be tested.
    """
    from sfu.probe import command  # a stack of its own, which `serve` has no use for

    wanted = command.Request(
        target=target,
        policy=policy,
        tokens=tuple(access_token or ()),
        beside=beside,
        authority=ca,
        insecure=insecure,
        rows=tuple(row or ()),
        json=json,
        junit=junit,
        seconds=seconds,
        at_once=at_once,
    )
    raise typer.Exit(command.run(wanted, _out, _err))


@cli.command()
def version() -> None:
    """Print what this build is made of."""
    parts = {
        "conclave": build.version(),
        "commit": build.commit() or "not recorded",
        "python": sys.version.split()[0],
        "openssl (https)": ssl.OPENSSL_VERSION,
        "openssl (media)": _media_openssl(),
        "aiortc": metadata.version("aiortc"),
        "livekit-protocol": metadata.version("livekit-protocol"),
    }
    for part, value in parts.items():
        _out.print(f"{part:<18}{escape(value)}")


def _media_openssl() -> str:
    from cryptography.hazmat.backends.openssl import backend

    return backend.openssl_version_text()


def _api_key(
    name: str | None, config_file: Path | None, secret_file: Path | None, state_dir: Path
) -> tuple[str, ApiKey]:
    try:
        if secret_file is not None:
            if name is None:
                _fail("--secret-file needs --key.", "Name the API key it belongs to.")
            secret = read_private(secret_file).decode().strip().encode()
            if len(secret) < MIN_SECRET_BYTES:
                _fail(f"{secret_file} holds less than {MIN_SECRET_BYTES} bytes.", "Make another.")
            return name, ApiKey(secret)
        if config_file is not None:
            keys = _load(config_file).api_keys()
        elif (state_dir / "dev").is_dir():
            keys = application.development(os.environ, state_dir, 0)[0].api_keys()
        else:
            _fail("No API key to sign with.", "Give --config or --secret-file, or run serve --dev.")
    except (PrivateFileError, UnicodeDecodeError) as error:
        _fail(f"{error}.", "")
    except ConfigError as error:
        _fail_config(error.mistakes)
    if name is None and len(keys) == 1:
        return next(iter(keys.items()))
    if name is None or name not in keys:
        _fail("Which API key?", f"Choose with --key: {', '.join(sorted(keys))}")
    return name, keys[name]


def _load(config_file: Path | None) -> Settings:
    try:
        return config.load(config_file, os.environ, SystemClock().now())
    except ConfigError as error:
        _fail_config(error.mistakes)


def _announce_development(at: Listening, settings: Settings, dev: Development) -> None:
    scheme = "http" if dev.plaintext else "https"
    url = Text(f"{scheme}://localhost:{at.port}/?room=lobby", style="bold cyan")
    _out.print()
    _out.print(Panel(url, title="Open in two browsers", expand=False, padding=(1, 4)))
    _out.print(
        f"  The browser will warn once: the certificate is this machine's own.\n"
        f"  State      {escape(str(settings.state_dir))}\n"
        f"  Authority  {escape(str(dev.identity.ca))} (SSL_CERT_FILE for the SDKs)\n"
        f"  API key    {dev.identity.api_key}; tokens: conclave token --room lobby --identity me\n"
        f"  Admin      port {at.admin_port}: /metrics /healthz /readyz\n"
        f"  Stop       Ctrl-C\n"
    )


def _announce(at: Listening, settings: Settings) -> None:
    _out.print(
        f"Conclave serves on port {at.port}, media on UDP port {settings.media.ports}, "
        f"admin on port {at.admin_port}. State: {escape(str(settings.state_dir))}"
    )


def _fail_config(mistakes: list[Mistake]) -> NoReturn:
    count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
    _err.print(f"[bold red]The settings cannot be used: {count}.[/]")
    for mistake in mistakes:
        _err.print(f"  [bold]{escape(mistake.key)}[/] {escape(mistake.problem)}")
        _err.print(f"    [dim]→ {escape(mistake.remedy)}[/]")
    raise typer.Exit(BAD_CONFIG)


def _fail(problem: str, remedy: str) -> NoReturn:
    _err.print(f"[bold red]{escape(problem)}[/]" + (f" {escape(remedy)}" if remedy else ""))
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
