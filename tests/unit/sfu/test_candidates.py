"""How often the system is asked for its addresses."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.candidates import KEPT, Announcements
from sfu.options import MediaOptions


class Machine:
    """Counts who asks."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0
        self.address = "192.0.2.7"

    def interfaces(self) -> Sequence[tuple[str, str]]:
        self.asked += 1
        return [("eth0", self.address)]


def announcements(machine: Machine) -> Announcements:
    options = MediaOptions(binds=("0.0.0.0",))
    return Announcements(options, machine.interfaces, lambda: machine.now)


def told(known: Announcements, port: int = 7882) -> list[tuple[str, int]]:
    return [(each.ip, each.port) for each in known.of([("0.0.0.0", port)])]


def test_people_who_come_within_a_moment_ask_once() -> None:
    machine = Machine()
    known = announcements(machine)
    assert [told(known) for _ in range(100)] == [[("192.0.2.7", 7882)]] * 100
    assert machine.asked == 1


def test_an_address_that_changed_is_told_of_after_the_moment() -> None:
    machine = Machine()
    known = announcements(machine)
    told(known)
    machine.address = "192.0.2.8"
    machine.now += KEPT
    assert told(known) == [("192.0.2.8", 7882)]


def test_each_worker_has_its_own() -> None:
    known = announcements(Machine())
    assert told(known, 7882) != told(known, 7883)


def test_having_no_address_is_not_remembered() -> None:
    machine = Machine()
    machine.address = "127.0.0.1"
    known = announcements(machine)
    assert told(known) == []
    machine.address = "192.0.2.7"
    assert told(known) == [("192.0.2.7", 7882)]
