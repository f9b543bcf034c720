"""`conclave` whose first media worker dies when told to: run as a program, SIGUSR1 tells it.

The worker ends as after a panic: its thread is gone, its sockets are closed, nobody was told
goodbye, and it says so itself. Everything that follows is the server's own.
"""

from __future__ import annotations

import functools
import os
import select
import signal
from collections.abc import Sequence
from typing import Any

from sfu.events import RelayEvent, WorkerDied
from sfu.media import MediaPlane
from sfu.options import MediaOptions
from sfu.worker import Worker
from signaling import media
from signaling.__main__ import main


class Mortal(Worker):
    """A worker that can be told to die."""

    opened: list[Mortal]  # all of the process, oldest first

    def __init__(self, options: MediaOptions) -> None:
        super().__init__(options)
        self._told = os.eventfd(0, os.EFD_NONBLOCK)
        self._either = select.epoll()
        self._either.register(super().event_fd, select.EPOLLIN)
        self._either.register(self._told, select.EPOLLIN)
        self._dead = False
        Mortal.opened.append(self)

    def die(self) -> None:
        self._dead = True
        self._relay.close()
        os.eventfd_write(self._told, 1)

    @property
    def event_fd(self) -> int:
        return self._either.fileno()

    def poll_events(self) -> Sequence[RelayEvent]:
        return [WorkerDied("told to")] if self._dead else super().poll_events()


Mortal.opened = []


def serve(**changed: Any) -> None:
    """The command line of `conclave`, its media plane with mortal workers and what is `changed`."""
    plane = functools.partial(MediaPlane, open_relay=Mortal, **changed)
    vars(media)["MediaPlane"] = plane
    signal.signal(signal.SIGUSR1, lambda *_: Mortal.opened[0].die())
    main()


if __name__ == "__main__":
    serve()
