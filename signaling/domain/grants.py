"""What somebody asks to be, as a token states it, and what the policy gave them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class TrackSource(enum.StrEnum):
    """Where a track comes from, in the words of LiveKit's `canPublishSources`."""

    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified token's statements; absent grants already have LiveKit's meaning.

    Times are Unix seconds. `can_publish_sources` empty means every source.
    """

    api_key: str
    identity: str
    room: str
    not_before: float | None
    not_after: float
    room_join: bool
    name: str = ""
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    kind: str = "standard"
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: frozenset[TrackSource] = field(default_factory=frozenset)
    can_update_own_metadata: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What the policy allows one participant in one room, until `not_after` (Unix seconds).

    Produced only by `signaling.policy.decide`; narrower than or equal to the claims behind it.
    `not_after` None: the grant lasts as long as the call, as LiveKit has it, where a token's `exp`
    guards the join only.
    """

    identity: str
    room: str
    not_after: float | None
    can_publish: bool
    can_subscribe: bool
    can_publish_data: bool
    can_publish_sources: frozenset[TrackSource]
    can_update_own_metadata: bool
    hidden: bool
    kind: str = "standard"
    recorder: bool = False
    agent: bool = False

    def may_publish(self, source: TrackSource) -> bool:
        """Whether a track from `source` may be published; no listed source means any."""
        return self.can_publish and (
            not self.can_publish_sources or source in self.can_publish_sources
        )
