"""Who listens to what: a subscriber's wish, a publisher's leave, the grant, in that order of
weakness.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from signaling.domain.people import Participant


@dataclass(frozen=True, slots=True)
class Permission:
    """Whom a publisher lets listen. `tracks` maps a participant's sid or identity to the track
    sids it may have; None means all of them.
    """

    everybody: bool = True
    tracks: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def allows(self, listener: Participant, track_sid: str) -> bool:
        if self.everybody:
            return True
        for key in (listener.sid, listener.identity):
            if key in self.tracks:
                allowed = self.tracks[key]
                return allowed is None or track_sid in allowed
        return False


class Audience:
    """The wishes and permissions of one room."""

    def __init__(self) -> None:
        self._automatic: dict[str, bool] = {}
        self._wishes: dict[str, dict[str, bool]] = {}
        self._permissions: dict[str, Permission] = {}

    def enter(self, sid: str, *, auto_subscribe: bool) -> None:
        self._automatic[sid] = auto_subscribe
        self._wishes[sid] = {}

    def leave(self, sid: str) -> None:
        self._automatic.pop(sid, None)
        self._wishes.pop(sid, None)
        self._permissions.pop(sid, None)

    def wish(self, sid: str, track_sid: str, wanted: bool) -> None:
        """An explicit wish, which outlives nothing but the track."""
        self._wishes[sid][track_sid] = wanted

    def permit(self, sid: str, permission: Permission) -> None:
        """Replace what `sid` lets others have of its tracks."""
        self._permissions[sid] = permission

    def forget_track(self, track_sid: str) -> None:
        for wishes in self._wishes.values():
            wishes.pop(track_sid, None)

    def permits(self, publisher: Participant, listener: Participant, track_sid: str) -> bool:
        """Whether the publisher lets that listener have that track."""
        permission = self._permissions.get(publisher.sid)
        return permission is None or permission.allows(listener, track_sid)

    def listens(self, publisher: Participant, listener: Participant, track_sid: str) -> bool:
        """Whether media should flow."""
        return (
            publisher.sid != listener.sid
            and not publisher.hidden
            and listener.grant.can_subscribe
            and self._wishes[listener.sid].get(track_sid, self._automatic[listener.sid])
            and self.permits(publisher, listener, track_sid)
        )
