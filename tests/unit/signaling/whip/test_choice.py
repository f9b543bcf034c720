"""Which tracks a viewer is shown."""

from __future__ import annotations

from signaling.domain.grants import Grant, TrackSource
from signaling.domain.people import Participant, ParticipantState
from signaling.domain.tracks import MediaKind, Track, TrackWish
from signaling.whip.choice import choose
from signaling.whip.door import Wish

ANYTHING = Wish()
BOTH = (MediaKind.AUDIO, MediaKind.VIDEO)
KINDS = {
    TrackSource.CAMERA: MediaKind.VIDEO,
    TrackSource.SCREEN_SHARE: MediaKind.VIDEO,
    TrackSource.MICROPHONE: MediaKind.AUDIO,
    TrackSource.SCREEN_SHARE_AUDIO: MediaKind.AUDIO,
    TrackSource.UNKNOWN: MediaKind.VIDEO,
}
CAMERA, SCREEN = TrackSource.CAMERA, TrackSource.SCREEN_SHARE
MICROPHONE, SCREEN_SOUND = TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO


def person(name: str, joined_at: float, *sources: TrackSource, gone: bool = False) -> Participant:
    """Somebody whose tracks are called by name and source."""
    grant = Grant(
        identity=name,
        room="hall",
        not_after=None,
        can_publish=True,
        can_subscribe=True,
        can_publish_data=True,
        can_publish_sources=frozenset(),
        can_update_own_metadata=False,
        hidden=False,
    )
    tracks = tuple(
        Track(f"{name}-{source.value}", TrackWish(source.value, KINDS[source], source), False)
        for source in sources
    )
    state = ParticipantState.DISCONNECTED if gone else ParticipantState.ACTIVE
    return Participant(f"PA_{name}", name, grant, joined_at, state=state, tracks=tracks)


def shown(
    *people: Participant, wish: Wish = ANYTHING, kinds: tuple[MediaKind, ...] = BOTH
) -> set[str]:
    return set(choose(people, wish, kinds).values())


def test_a_screen_goes_before_cameras_and_its_owner_is_heard() -> None:
    early = person("early", 1, CAMERA, MICROPHONE)
    late = person("late", 2, CAMERA, MICROPHONE, SCREEN)
    assert shown(early, late) == {"late-screen_share", "late-microphone"}


def test_among_cameras_whoever_came_first_is_shown_whatever_the_order_told() -> None:
    first, second = person("first", 1, MICROPHONE, CAMERA), person("second", 2, CAMERA, MICROPHONE)
    assert shown(second, first) == {"first-camera", "first-microphone"}


def test_a_microphone_goes_before_the_sound_of_a_screen() -> None:
    assert shown(person("ada", 1, SCREEN, SCREEN_SOUND, MICROPHONE)) == {
        "ada-screen_share",
        "ada-microphone",
    }
    assert shown(person("ada", 1, SCREEN, SCREEN_SOUND)) == {
        "ada-screen_share",
        "ada-screen_share_audio",
    }


def test_a_silent_picture_is_heard_with_somebody_elses_voice() -> None:
    assert shown(person("voice", 1, MICROPHONE), person("mime", 2, CAMERA)) == {
        "mime-camera",
        "voice-microphone",
    }


def test_a_track_of_unknown_source_is_shown_if_there_is_no_other() -> None:
    assert shown(person("ada", 1, TrackSource.UNKNOWN)) == {"ada-unknown"}
    assert shown(person("ada", 1, TrackSource.UNKNOWN, CAMERA)) == {"ada-camera"}


def test_only_the_kinds_that_were_offered_are_chosen() -> None:
    ada = person("ada", 1, CAMERA, MICROPHONE)
    assert shown(ada, kinds=(MediaKind.AUDIO,)) == {"ada-microphone"}
    assert shown(ada, kinds=(MediaKind.VIDEO,)) == {"ada-camera"}


def test_a_named_participant_is_shown_and_nobody_else() -> None:
    ada, bob = person("ada", 1, SCREEN, MICROPHONE), person("bob", 2, CAMERA)
    assert shown(ada, bob, wish=Wish(participant="bob")) == {"bob-camera"}
    assert shown(ada, bob, wish=Wish(participant="cyd")) == set()


def test_named_tracks_are_shown_and_no_others() -> None:
    ada = person("ada", 1, SCREEN, CAMERA, MICROPHONE)
    assert shown(ada, wish=Wish(tracks=("ada-camera",))) == {"ada-camera"}


def test_whoever_has_left_is_not_shown() -> None:
    assert shown(person("ada", 1, CAMERA, gone=True)) == set()
