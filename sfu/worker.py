"""One relay worker: the only importer of the extension.

Values go in and come out (`sfu.commands`, `sfu.events`); the extension's classes stay here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol, get_args

from sfu import _relay
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
            coalesce_us=options.coalesce_us,
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
    theirs, names = _COMMANDS[type(command)]
    return theirs(**{name: getattr(command, name) for name in names})


def _event(event: _relay.Event) -> RelayEvent:
    """Our event of the same name and fields."""
    ours, names = _EVENTS[type(event)]
    converted: RelayEvent = ours(*[getattr(event, name) for name in names])
    return converted


# What a class's fields are is too dear to ask for each of many values.
_COMMANDS: dict[type, tuple[Any, tuple[str, ...]]] = {
    kind: (getattr(_relay, kind.__name__), tuple(entry.name for entry in fields(kind)))
    for kind in get_args(Command)
}
_EVENTS: dict[type, tuple[Any, tuple[str, ...]]] = {
    getattr(_relay, kind.__name__): (kind, tuple(entry.name for entry in fields(kind)))
    for kind in get_args(RelayEvent)
}
