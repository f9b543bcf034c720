"""What no single value shows: settings that do not go together, or would not be safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from signaling.config.mistakes import Mistake
from signaling.config.settings import Settings, SrtpProfile, Suite
from signaling.server.private import PrivateFileError, read_private
from signaling.server.tls import TlsPolicy, check_certificate, server_context


def server_mistakes(settings: Settings, now: float) -> list[Mistake]:
    """What keeps these settings from serving others; `now` is Unix time in seconds."""
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
    mistakes += [
        *narrowing_mistakes(settings),
        *worker_mistakes(settings),
        *_advertise_mistakes(settings),
    ]
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


def narrowing_mistakes(settings: Settings) -> list[Mistake]:
    """A policy narrowed until nothing is left of it."""
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


def worker_mistakes(settings: Settings) -> list[Mistake]:
    """Workers take one port after another: none is to be missing, or somebody else's."""
    first, count = settings.media.port, settings.media.workers
    ports = range(first, first + count)
    if not first or count == 1:
        return []
    if ports[-1] > 65535:
        return [Mistake("media.workers", f"needs the ports up to {ports[-1]}", "lower media.port")]
    others = {"listen.port": settings.listen.port, "admin.port": settings.admin.port}
    taken = " and ".join(key for key, port in others.items() if port in ports)
    if not taken:
        return []
    problem = f"takes the ports {settings.media.ports}, among them {taken}"
    return [Mistake("media.workers", problem, "choose another media.port")]


def _advertise_mistakes(settings: Settings) -> list[Mistake]:
    """An advertised address that no socket of ours stands behind would never be announced."""
    bound = {address.version for address in settings.media.bind}
    return [
        Mistake(
            "media.advertise",
            f"{address} is IPv{address.version}, and media.bind has no address of that family",
            f'add "{"::" if address.version == 6 else "0.0.0.0"}" to media.bind',  # noqa: S104
        )
        for address in settings.media.advertise
        if address.version not in bound
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
    wrong = [
        *_refused("tls.certificate_file", lambda: check_certificate(certificate, now)),
        *_refused("tls.key_file", lambda: read_private(key)),
    ]
    return wrong or _refused("tls", lambda: server_context(certificate, key, settings.policy))


def _refused(where: str, check: Callable[[], object]) -> list[Mistake]:
    try:
        check()
    except PrivateFileError as error:
        return [Mistake(where, error.problem, error.remedy)]
    return []
