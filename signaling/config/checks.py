"""What no single value shows: settings that do not go together, or would not be safe."""

from __future__ import annotations

from typing import get_args

from signaling.config.mistakes import Mistake
from signaling.config.settings import Settings, SrtpProfile, Suite
from signaling.server.private import PrivateFileError
from signaling.server.tls import TlsPolicy, check_pair


def server_mistakes(settings: Settings, now: float) -> list[Mistake]:
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
    mistakes += narrowing_mistakes(settings)
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
