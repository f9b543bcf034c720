"""Sessions at the door of WHIP and WHEP, with real calls and a media plane without media."""

from __future__ import annotations

from typing import Any

import pytest

from signaling.domain.errors import Refusal
from signaling.domain.grants import TrackSource
from signaling.domain.limits import Limits
from signaling.domain.people import Departure, Participant, ParticipantState
from signaling.domain.tracks import MediaKind, Track
from signaling.policy.decide import Terms
from signaling.ports import TRANSPORT_CLOSED, PeerRole
from signaling.whip.door import Created, Endpoint, Resource, Wish
from signaling.whip.reception import WhipDoor
from tests.unit.signaling.fakes import FakeEntropy, FakePeer, claims
from tests.unit.signaling.livekit import visitors
from tests.unit.signaling.livekit.visitors import kinds, quiet

ANYTHING = Wish()
SENDING = "0:audio:sendonly 1:video:sendonly"
RECEIVING = "0:audio:recvonly 1:video:recvonly"


class House(visitors.House):
    """Both doors over one set of calls."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.resources = WhipDoor(
            calls=self.calls,
            authenticator=self.authenticator,
            clock=self.clock,
            entropy=FakeEntropy(),
        )

    def token(self, identity: str, **fields: Any) -> str:
        self.authenticator.claims[identity] = claims(identity, **fields)
        return identity

    def publish(
        self, identity: str = "cam", offer: str = SENDING, wish: Wish = ANYTHING, **fields: Any
    ) -> Created:
        token = self.token(identity, **fields)
        return self.resources.create(Endpoint.WHIP, "garden", token, offer, wish)

    def view(
        self, identity: str = "eye", offer: str = RECEIVING, wish: Wish = ANYTHING, **fields: Any
    ) -> Created:
        token = self.token(identity, **fields)
        return self.resources.create(Endpoint.WHEP, "garden", token, offer, wish)

    @property
    def peer(self) -> FakePeer:
        """The latest transport."""
        return self.media.peers[-1]

    async def connect(self) -> None:
        self.peer.events.on_connected()
        await quiet()

    def tracks(self, identity: str) -> tuple[Track, ...]:
        person = self.person(identity)
        return () if person is None else person.tracks

    def person(self, identity: str) -> Participant | None:
        for call in self.calls._calls.values():
            found = call.room.by_identity(identity)
            if found is not None:
                return found
        return None

    def held(self) -> int:
        return self.resources.counts().total()


def refused(call: Any) -> tuple[str, int]:
    with pytest.raises(Refusal) as refusal:
        call()
    return refusal.value.code, refusal.value.status


# --- Publishing ----------------------------------------------------------------------------------


async def test_a_publisher_is_a_participant_that_others_see_and_hear() -> None:
    house = House()
    bob = await house.join("bob", offer="0:audio:recvonly 1:video:recvonly")
    bob.news()
    created = house.publish()
    await house.connect()
    assert created.sdp == f"answer to {SENDING}"
    assert house.peer.role is PeerRole.PUBLISHER
    assert "update" in kinds(bob.news())
    camera = house.person("cam")
    assert camera is not None
    assert camera.state is ParticipantState.ACTIVE
    sources = {track.wish.source for track in house.tracks("cam")}
    assert sources == {TrackSource.MICROPHONE, TrackSource.CAMERA}
    assert set(bob.peers[0].wanted) == {track.sid for track in house.tracks("cam")}


async def test_a_screen_says_so() -> None:
    house = House()
    house.publish(wish=Wish(source=TrackSource.SCREEN_SHARE))
    sources = {track.wish.source for track in house.tracks("cam")}
    assert sources == {TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO}


async def test_a_publisher_receives_nothing() -> None:
    house = House()
    ada = await house.join("ada")
    await ada.publish("mic", "audio", "7")
    house.publish()
    await quiet()
    assert house.peer.wanted == {}


@pytest.mark.parametrize(
    ("offer", "refusal"),
    [
        ("garbage", ("sdp_malformed", 400)),
        ("", ("offer_without_media", 422)),
        ("0:audio:recvonly", ("offer_direction", 422)),
        ("0:audio:sendonly 1:audio:sendonly", ("offer_too_many_tracks", 422)),
        ("0:audio:sendonly 1:video:sendonly:alien", ("offer_codecs", 422)),
    ],
    ids=["not sdp", "empty", "not sending", "two of a kind", "codecs"],
)
async def test_an_offer_is_published_whole_or_not_at_all(
    offer: str, refusal: tuple[str, int]
) -> None:
    house = House()
    assert refused(lambda: house.publish(offer=offer)) == refusal
    assert (house.media.open_count(), house.calls.participant_count, house.held()) == (0, 0, 0)


async def test_a_bad_offer_does_not_cost_the_session_that_runs() -> None:
    house = House()
    house.publish()
    assert refused(lambda: house.publish(offer="garbage")) == ("sdp_malformed", 400)
    assert house.held() == 1


async def test_a_source_that_the_token_does_not_list_is_refused_and_nothing_is_left() -> None:
    house = House()
    only = frozenset({TrackSource.MICROPHONE})
    assert refused(lambda: house.publish(can_publish_sources=only)) == ("source_not_allowed", 403)
    assert (house.media.open_count(), house.calls.participant_count, house.held()) == (0, 0, 0)
    house.publish(offer="0:audio:sendonly", can_publish_sources=only)
    assert house.held() == 1


# --- Who may ------------------------------------------------------------------------------------


async def test_who_may_not_is_told_so_before_and_after_its_offer_is_read() -> None:
    house = House()
    token = house.token("eve", can_publish=False, can_subscribe=False)
    cases = [
        (Endpoint.WHIP, "garden", "forged", ("token_signature", 401)),
        (Endpoint.WHIP, "cellar", token, ("room_mismatch", 403)),
        (Endpoint.WHIP, "garden", token, ("publish_not_allowed", 403)),
        (Endpoint.WHEP, "garden", token, ("subscribe_not_allowed", 403)),
    ]
    for endpoint, room, bearer, refusal in cases:
        admit = lambda e=endpoint, r=room, b=bearer: house.resources.admit(e, r, b)  # noqa: E731
        create = lambda e=endpoint, r=room, b=bearer: house.resources.create(  # noqa: E731
            e, r, b, SENDING, Wish()
        )
        assert refused(admit) == refusal
        assert refused(create) == refusal
    assert house.media.peers == []


async def test_a_full_server_and_a_stopping_one_say_503() -> None:
    house = House(limits=Limits(participants=1))
    house.publish()
    assert refused(lambda: house.publish("other")) == ("server_full", 503)
    house.resources.shut()
    assert refused(lambda: house.publish("other")) == ("server_stopping", 503)


async def test_a_session_is_its_participants_alone() -> None:
    house = House()
    resource = house.publish().resource
    stranger = house.token("eve")
    for call in (house.resources.admit_to, house.resources.delete):
        assert refused(lambda call=call: call(resource, stranger)) == ("not_your_session", 403)
        assert refused(lambda call=call: call(resource, "forged")) == ("token_signature", 401)
    elsewhere = house.token("cam", room="cellar")
    assert refused(lambda: house.resources.delete(resource, elsewhere))[1] == 403
    assert house.held() == 1


@pytest.mark.parametrize("change", ["session", "endpoint", "room"])
async def test_a_path_that_is_not_exactly_the_sessions_is_unknown(change: str) -> None:
    house = House()
    resource = house.publish().resource
    other = {
        "session": Resource(Endpoint.WHIP, "garden", "guessed"),
        "endpoint": Resource(Endpoint.WHEP, "garden", resource.session),
        "room": Resource(Endpoint.WHIP, "cellar", resource.session),
    }[change]
    assert refused(lambda: house.resources.delete(other, "cam")) == ("session_not_found", 404)


async def test_sessions_have_unguessable_names_and_tags_of_their_own() -> None:
    house = House()
    first, second = house.publish("one"), house.publish("two")
    assert first.resource.session != second.resource.session
    assert len(first.resource.session) * 6 >= 128
    assert len({first.tag, second.tag}) == 2
    assert first.resource.session not in repr(first)


# --- The end ------------------------------------------------------------------------------------


async def test_delete_ends_the_participant_and_the_resource() -> None:
    house = House()
    created = house.publish()
    await house.connect()
    house.resources.delete(created.resource, "cam")
    assert (house.media.open_count(), house.calls.participant_count, house.held()) == (0, 0, 0)
    assert refused(lambda: house.resources.delete(created.resource, "cam")) == (
        "session_not_found",
        404,
    )


async def test_a_session_that_never_connects_ends_after_a_minute() -> None:
    house = House()
    house.publish()
    house.clock.advance(59)
    house.resources.tick()
    assert house.held() == 1
    house.clock.advance(1)
    house.resources.tick()
    assert (house.held(), house.media.open_count()) == (0, 0)


async def test_a_session_that_connected_goes_on() -> None:
    house = House()
    house.publish()
    await house.connect()
    house.clock.advance(3_600)
    house.resources.tick()
    assert house.held() == 1


async def test_a_grant_that_ends_takes_the_session_with_it() -> None:
    house = House(terms=Terms(grant_lifetime=300))
    house.publish()
    await house.connect()
    house.clock.advance(299)
    house.resources.tick()
    assert house.held() == 1
    house.clock.advance(1)
    house.resources.tick()
    assert house.held() == 0


async def test_the_same_identity_takes_its_own_place_through_either_door() -> None:
    house = House()
    first = house.publish()
    await house.connect()
    second = house.publish()
    assert house.held() == 1
    assert refused(lambda: house.resources.admit_to(first.resource, "cam")) == (
        "session_not_found",
        404,
    )
    house.resources.admit_to(second.resource, "cam")
    await house.join("cam")
    assert house.held() == 0


async def test_a_client_that_closes_its_transport_has_left() -> None:
    house = House()
    house.publish()
    await house.connect()
    house.peer.events.on_failed(TRANSPORT_CLOSED, "The client closed the transport.")
    await quiet()
    assert (house.held(), house.calls.participant_count) == (0, 0)


async def test_a_transport_that_fails_takes_the_session_with_it() -> None:
    house = House()
    house.publish()
    await house.connect()
    house.peer.events.on_failed("consent_lost", "Nothing was heard for 30 seconds.")
    await quiet()
    assert (house.held(), house.media.open_count()) == (0, 0)


async def test_a_server_that_stops_ends_every_session() -> None:
    house = House()
    house.publish()
    house.view()
    house.calls.dismiss_all(Departure.SERVER_SHUTDOWN, "server_stopping", "The server is stopping.")
    assert (house.held(), house.calls.participant_count) == (0, 0)


# --- Fragments ----------------------------------------------------------------------------------


async def test_a_fragment_needs_the_tag_of_the_ice_session() -> None:
    house = House()
    created = house.publish()

    def patch(if_match: str | None, fragment: str = "candidates") -> Any:
        return house.resources.patch(created.resource, "cam", if_match, fragment)

    assert refused(lambda: patch(None)) == ("precondition_missing", 428)
    assert refused(lambda: patch('"older"')) == ("precondition_failed", 412)
    assert refused(lambda: patch("*", "garbage")) == ("fragment_malformed", 400)
    assert patch(f'"{created.tag}"') is None
    assert patch("*") is None


async def test_a_restart_has_a_new_tag_and_the_old_one_is_worth_nothing() -> None:
    house = House()
    created = house.publish()
    resource = created.resource
    restarted = house.resources.patch(resource, "cam", "*", "restart")
    assert restarted is not None
    assert restarted.fragment == "our fragment"
    assert restarted.tag != created.tag
    old, new = f'"{created.tag}"', f'"{restarted.tag}"'
    assert refused(lambda: house.resources.patch(resource, "cam", old, "candidates")) == (
        "precondition_failed",
        412,
    )
    assert house.resources.patch(resource, "cam", new, "candidates") is None


async def test_fragments_are_rationed() -> None:
    house = House()
    resource = house.publish().resource
    for _ in range(50):
        house.resources.patch(resource, "cam", "*", "candidates")
    assert refused(lambda: house.resources.patch(resource, "cam", "*", "candidates")) == (
        "too_many_patches",
        429,
    )
    house.clock.advance(1)
    assert house.resources.patch(resource, "cam", "*", "candidates") is None


# --- Viewing ------------------------------------------------------------------------------------


async def test_a_viewer_is_shown_what_runs() -> None:
    house = House()
    house.publish()
    created = house.view()
    assert created.sdp == f"answer to {RECEIVING}"
    assert house.peer.role is PeerRole.VIEWER
    assert set(house.peer.bound.values()) == {track.sid for track in house.tracks("cam")}


async def test_a_viewer_who_came_first_is_shown_what_comes() -> None:
    house = House()
    house.view()
    viewer = house.peer
    assert viewer.wanted == {}
    house.publish()
    await quiet()
    assert set(viewer.wanted) == {track.sid for track in house.tracks("cam")}


async def test_a_screen_takes_the_cameras_place_and_gives_it_back() -> None:
    house = House()
    house.publish("cam", offer="0:video:sendonly")
    house.view()
    viewer = house.peer
    (camera,) = house.tracks("cam")
    assert set(viewer.wanted) == {camera.sid}
    screen = Wish(source=TrackSource.SCREEN_SHARE)
    slides = house.publish("slides", offer="0:video:sendonly", wish=screen)
    await quiet()
    (shared,) = house.tracks("slides")
    assert set(viewer.wanted) == {shared.sid}
    house.resources.delete(slides.resource, "slides")
    await quiet()
    assert set(viewer.wanted) == {camera.sid}


async def test_a_viewer_gets_whom_it_names_now_or_later() -> None:
    house = House()
    house.publish("cam")
    house.view(wish=Wish(participant="later"))
    viewer = house.peer
    assert viewer.wanted == {}
    house.publish("later")
    await quiet()
    assert set(viewer.wanted) == {track.sid for track in house.tracks("later")}


async def test_a_track_that_is_not_there_cannot_be_waited_for() -> None:
    house = House()
    house.publish()
    wish = Wish(tracks=("TR_unknown",))
    assert refused(lambda: house.view(wish=wish)) == ("track_not_found", 404)
    assert (house.held(), house.media.open_count()) == (1, 1)
    (sound,) = [t.sid for t in house.tracks("cam") if t.kind is MediaKind.AUDIO]
    house.view(wish=Wish(tracks=(sound,)))
    assert set(house.peer.wanted) == {sound}


async def test_a_hidden_viewer_is_told_to_nobody_and_another_is() -> None:
    house = House()
    ada = await house.join("ada")
    ada.news()
    house.view("ghost", hidden=True)
    await quiet()
    assert kinds(ada.news()) == []
    house.view("guest")
    await quiet()
    assert "update" in kinds(ada.news())


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        ("0:audio:sendonly", "offer_direction"),
        ("0:video:recvonly 1:video:recvonly", "offer_too_many_tracks"),
    ],
)
async def test_an_offer_to_view_must_be_able_to_receive_one_of_each(offer: str, code: str) -> None:
    house = House()
    assert refused(lambda: house.view(offer=offer)) == (code, 422)


async def test_a_mistake_of_ours_ends_one_session_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    house.view("one")
    house.view("two")
    broken = house.media.peers[0]
    monkeypatch.setattr(broken, "subscribe", lambda *_: 1 / 0)
    house.publish(offer="0:video:sendonly")
    await quiet()
    assert house.resources.counts() == {"whip": 1, "whep": 1}
    assert house.person("one") is None
