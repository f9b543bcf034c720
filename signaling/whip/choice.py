"""Which of a room's tracks a viewer is shown: at most one of each kind.

The picture is a shared screen before a camera, then whoever came first. The sound is that of the
picture's participant if it has any, a microphone before the sound of a screen, then whoever came
first. Naming a participant or tracks narrows the field, the order stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from signaling.domain.grants import TrackSource
from signaling.domain.people import Participant, ParticipantState
from signaling.domain.tracks import MediaKind, Track
from signaling.whip.door import Wish

_RANK = {TrackSource.SCREEN_SHARE: 0, TrackSource.CAMERA: 1, TrackSource.MICROPHONE: 0}
_LAST = 2


@dataclass(frozen=True, slots=True)
class _Candidate:
    owner: Participant
    place: int  # among its owner's tracks
    track: Track

    @property
    def order(self) -> tuple[int, float, str, int]:
        rank = _RANK.get(self.track.wish.source, _LAST)
        return rank, self.owner.joined_at, self.owner.sid, self.place


def choose(
    people: Iterable[Participant], wish: Wish, kinds: Collection[MediaKind]
) -> dict[MediaKind, str]:
    """The track sid to carry, by kind; a kind with nothing to show is left out."""
    field = list(_candidates(people, wish))
    chosen: dict[MediaKind, str] = {}
    owner = ""
    pictures = [one for one in field if one.track.kind is MediaKind.VIDEO]
    if MediaKind.VIDEO in kinds and pictures:
        picture = min(pictures, key=lambda one: one.order)
        owner = picture.owner.sid
        chosen[MediaKind.VIDEO] = picture.track.sid
    sounds = [one for one in field if one.track.kind is MediaKind.AUDIO]
    if MediaKind.AUDIO in kinds and sounds:
        sound = min(sounds, key=lambda one: (one.owner.sid != owner, one.order))
        chosen[MediaKind.AUDIO] = sound.track.sid
    return chosen


def _candidates(people: Iterable[Participant], wish: Wish) -> Iterator[_Candidate]:
    for person in people:
        if person.state is ParticipantState.DISCONNECTED:
            continue
        if wish.participant and person.identity != wish.participant:
            continue
        for place, track in enumerate(person.tracks):
            if not wish.tracks or track.sid in wish.tracks:
                yield _Candidate(person, place, track)
