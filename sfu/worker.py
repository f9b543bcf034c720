"""One relay worker: the only importer of the extension.

Values go in and come out (`sfu.commands`, `sfu.events`); the extension's classes stay here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

from sfu import _relay, events
from sfu.commands import Command
from sfu.events import RelayEvent
from sfu.options import MediaOptions


class RelayRefused(Exception):
    """A batch was not queued. Codes: `relay_closed`, `relay_overloaded`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Relay(Protocol):
    """What the media plane needs of a worker; see `sfu/_relay.pyi`."""

    @property
    def addresses(self) -> Sequence[tuple[str, int]]: ...

    @property
    def event_fd(self) -> int: ...

    def apply(self, commands: Sequence[Command]) -> int:
        """Queue commands and return their ticket. Raises `RelayRefused`."""
        ...

    def poll_events(self) -> Sequence[RelayEvent]: ...

    def counters(self) -> Mapping[str, int]: ...

    def close(self) -> None: ...


class Worker:
    """The extension's relay behind `Relay`. Raises `OSError` when a socket cannot be opened."""

    def __init__(self, options: MediaOptions) -> None:
        self._relay = _relay.Relay(
            binds=[(address, options.port) for address in options.binds],
            max_peers=options.max_peers + options.workers,  # beside a pipe to each other worker
        )

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        return self._relay.addresses

    @property
    def event_fd(self) -> int:
        return self._relay.event_fd

    def apply(self, commands: Sequence[Command]) -> int:
        try:
            return self._relay.apply([_command(command) for command in commands])
        except _relay.QueueFull as error:
            raise RelayRefused("relay_overloaded") from error
        except _relay.RelayClosed as error:
            raise RelayRefused("relay_closed") from error

    def poll_events(self) -> Sequence[RelayEvent]:
        return [_event(event) for event in self._relay.poll_events()]

    def counters(self) -> Mapping[str, int]:
        return self._relay.counters()

    def close(self) -> None:
        self._relay.close()


def _command(command: Command) -> Any:
    """The extension's command of the same name and fields."""
    values = {entry.name: getattr(command, entry.name) for entry in fields(command)}
    return getattr(_relay, type(command).__name__)(**values)


def _event(event: _relay.Event) -> RelayEvent:
    """Our event of the same name and fields."""
    ours: Any = getattr(events, type(event).__name__)
    converted: RelayEvent = ours(
        **{entry.name: getattr(event, entry.name) for entry in fields(ours)}
    )
    return converted
