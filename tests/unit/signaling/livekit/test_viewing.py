"""Which layer each subscriber gets, and what publishers are told of it, through the door."""

from __future__ import annotations

from typing import Any

from livekit.protocol import models, rtc

from signaling.domain.viewing import View
from tests.unit.signaling.livekit.visitors import House, Visitor, kinds, one, quiet

Q = models.VideoQuality
ALL = [(Q.LOW, True), (Q.MEDIUM, True), (Q.HIGH, True)]
NONE = [(Q.LOW, False), (Q.MEDIUM, False), (Q.HIGH, False)]
Updates = list[list[tuple[int, bool]]]
SIZES = {Q.LOW: 180, Q.MEDIUM: 360, Q.HIGH: 720}


async def publish(visitor: Visitor) -> str:
    """A camera of three layers, as livekit-client announces it."""
    layers = [
        models.VideoLayer(quality=quality, width=height * 16 // 9, height=height)
        for quality, height in SIZES.items()
    ]
    news = await visitor.say(
        add_track=rtc.AddTrackRequest(
            cid="cam",
            type=models.TrackType.VIDEO,
            source=models.TrackSource.CAMERA,
            width=1280,
            height=720,
            layers=layers,
            simulcast_codecs=[rtc.SimulcastCodec(codec="vp8", cid="cam", layers=layers)],
        )
    )
    sid: str = one(news, "track_published").track_published.track.sid
    await visitor.offer("7:video:sendonly:cam")
    return sid


async def ask(visitor: Visitor, sid: str, **setting: Any) -> list[rtc.SignalResponse]:
    return await visitor.say(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], **setting))


def told(news: list[rtc.SignalResponse]) -> Updates:
    """The qualities of each update, which say the same for old clients and new ones."""
    updates: Updates = []
    for message in news:
        if message.WhichOneof("message") == "subscribed_quality_update":
            update = message.subscribed_quality_update
            (codec,) = update.subscribed_codecs
            assert codec.codec == "vp8"
            assert list(codec.qualities) == list(update.subscribed_qualities)
            updates.append([(int(each.quality), each.enabled) for each in codec.qualities])
    return updates


async def pass_time(house: House, visitor: Visitor, sid: str, seconds: float) -> Updates:
    """What the track's publisher is told by the end of so many seconds."""
    house.clock.advance(seconds)
    for member in house.calls.tracks[sid].members():
        member.tick()
    await quiet()
    return told(visitor.news())


async def test_a_quality_or_a_size_becomes_a_layer_and_disabled_a_pause() -> None:
    house = House()
    ada, bob, eve = [await house.join(name) for name in ("ada", "bob", "eve")]
    sid = await publish(ada)
    (at_bob,), (at_eve,) = bob.peers, eve.peers
    bob.news()
    assert at_bob.views == {sid: View(layer=2)}
    steps: list[tuple[dict[str, Any], View]] = [
        ({"quality": Q.LOW}, View(layer=0)),
        ({"quality": Q.MEDIUM}, View(layer=1)),
        ({"quality": Q.HIGH}, View(layer=2)),
        ({"quality": Q.HIGH, "width": 300, "height": 170}, View(layer=0)),
        ({"width": 300, "height": 170, "fps": 15}, View(layer=0, frame_rate=15)),
        ({"quality": Q.HIGH, "fps": 2**32 - 1}, View(layer=2, frame_rate=255)),
        ({"width": 700, "height": 390}, View(layer=1)),
        ({"width": 1000, "height": 600}, View(layer=2)),
        ({"disabled": True, "quality": Q.HIGH}, View(paused=True)),
        ({"quality": Q.OFF}, View(paused=True)),
        ({"quality": Q.LOW, "priority": 3}, View(layer=0, priority=253)),
    ]
    for setting, view in steps:
        assert await ask(bob, sid, **setting) == []
        assert at_bob.views == {sid: view}
    assert at_eve.views == {sid: View(layer=2)}, "nobody else is affected"


async def test_a_client_hears_which_of_its_tracks_the_link_has_no_room_for() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    sid = await publish(ada)
    await bob.say()
    for withheld, state in ((True, rtc.StreamState.PAUSED), (False, rtc.StreamState.ACTIVE)):
        bob.peers[0].events.on_withheld(sid, withheld)
        await quiet()
        update = one(bob.news(), "stream_state_update").stream_state_update
        (info,) = update.stream_states
        assert (info.track_sid, info.state) == (sid, state)
        assert info.participant_sid.startswith("PA_")
    assert ada.news() == [], "nobody else is told"
    await bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))
    bob.peers[0].events.on_withheld(sid, True)
    await quiet()
    assert "stream_state_update" not in kinds(bob.news()), "of what was taken away, nothing"


async def test_an_adaptive_client_gets_little_until_it_says_what_it_shows() -> None:
    house = House()
    ada = await house.join("ada")
    sid = await publish(ada)
    bob = await house.join("bob", adaptive_stream=True)
    assert bob.peers[0].views == {sid: View(layer=0)}
    assert told(ada.news())[-1] == [(Q.LOW, True), (Q.MEDIUM, False), (Q.HIGH, False)]
    await ask(bob, sid, width=1280, height=720)
    assert bob.peers[0].views == {sid: View(layer=2)}
    assert told(ada.news()) == [ALL]


async def test_a_wish_outlives_an_unsubscribe_and_may_come_before_a_subscribe() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob", auto_subscribe=False)
    sid = await publish(ada)
    await ask(bob, sid, quality=Q.LOW)
    assert bob.peers[0].views == {}
    for _ in range(2):
        await bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
        assert bob.peers[0].views.pop(sid) == View(layer=0)
        await bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))


async def test_settings_of_tracks_that_are_not_to_be_seen_change_nothing() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    sid = await publish(ada)
    ada.news()
    bob.news()
    assert await ask(ada, sid, disabled=True) == []
    assert await ask(bob, "TR_nowhere", disabled=True) == []
    assert await bob.say(track_setting=rtc.UpdateTrackSettings()) == []
    assert bob.peers[0].views == {sid: View(layer=2)}
    sids = [f"TR_{number}" for number in range(2_001)]
    refused = await bob.say(track_setting=rtc.UpdateTrackSettings(track_sids=sids))
    assert "too_many_items" in one(refused, "request_response").request_response.message


async def test_a_publisher_is_told_of_more_at_once_and_of_less_after_a_while() -> None:
    house = House()
    ada = await house.join("ada")
    sid = await publish(ada)
    assert told(ada.news()) == [], "there was no time yet for anybody to come"
    bob = await house.join("bob")
    assert told(ada.news()) == [ALL]
    await ask(bob, sid, quality=Q.LOW)
    assert told(ada.news()) == []
    assert await pass_time(house, ada, sid, 4.0) == []
    assert await pass_time(house, ada, sid, 2.0) == [
        [(Q.LOW, True), (Q.MEDIUM, False), (Q.HIGH, False)]
    ]
    await ask(bob, sid, quality=Q.MEDIUM)
    assert told(ada.news()) == [[(Q.LOW, True), (Q.MEDIUM, True), (Q.HIGH, False)]]
    await bob.say(leave=rtc.LeaveRequest())
    assert await pass_time(house, ada, sid, 4.0) == []
    assert await pass_time(house, ada, sid, 2.0) == [NONE]


async def test_a_camera_that_nobody_ever_watched_is_switched_off() -> None:
    house = House()
    ada = await house.join("ada")
    sid = await publish(ada)
    assert await pass_time(house, ada, sid, 9.0) == []
    assert await pass_time(house, ada, sid, 2.0) == [NONE]


async def test_an_unmuted_camera_is_told_again_and_a_microphone_never() -> None:
    house = House()
    ada, _ = await house.join("ada"), await house.join("bob")
    sid = await publish(ada)
    mic = await ada.publish("mic", "audio", "8")
    ada.news()
    for track in (sid, mic):
        await ada.say(mute=rtc.MuteTrackRequest(sid=track, muted=True))
        assert told(ada.news()) == []
    unmuted = await ada.say(mute=rtc.MuteTrackRequest(sid=mic, muted=False))
    assert told(unmuted) == []
    unmuted = await ada.say(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    assert told(unmuted) == [ALL]


async def test_the_messages_of_old_clients_about_layers_are_taken_without_a_word() -> None:
    ada = await House().join("ada")
    sid = await publish(ada)
    ada.news()
    update = rtc.UpdateVideoLayers(track_sid=sid, layers=[models.VideoLayer(quality=Q.LOW)])
    assert kinds(await ada.say(update_layers=update)) == []
