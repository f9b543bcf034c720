"""A call as its clients see it, through the door."""

from __future__ import annotations

from livekit.protocol import models, rtc

from signaling.domain.limits import Limits
from tests.unit.signaling.livekit.visitors import FIRST_OFFER, House, kinds, one, quiet

State = models.ParticipantInfo.State


async def test_the_join_response_comes_first_and_carries_what_clients_insist_on() -> None:
    ada = await House().join(connected=False)
    news = ada.news()
    assert kinds(news) == ["join", "answer"]
    join = news[0].join
    assert join.room.sid.startswith("RM_")
    assert join.room.name == "garden"
    assert join.participant.sid.startswith("PA_")
    assert join.participant.identity == "ada"
    assert join.participant.state == State.JOINED
    assert join.participant.permission.can_publish
    assert join.participant.client_protocol == 2
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.server_info.version == join.server_version != ""
    assert join.enabled_publish_codecs[0].mime == "video/VP8"
    assert join.enabled_publish_codecs[-1].mime == "audio/opus"
    assert join.client_configuration.resume_connection == models.ClientConfigSetting.DISABLED
    assert not join.subscriber_primary
    assert news[1].answer.id == 1


async def test_a_join_without_an_offer_is_answered_when_the_offer_comes() -> None:
    house = House()
    bob = await house.join("bob")
    await bob.publish("mic", "audio", "7")
    ada = await house.join("ada", offer=None, connected=False)
    assert kinds(ada.news()) == ["join"]  # no section can be asked for before the first answer
    news = await ada.offer(FIRST_OFFER, number=1)
    assert kinds(news) == ["answer"]
    assert len(news[0].answer.mid_to_track_id) == 1


async def test_an_answer_echoes_the_number_of_its_offer() -> None:
    ada = await House().join()
    ada.news()
    for number in (2, 3, 0):
        assert one(await ada.offer(FIRST_OFFER, number), "answer").answer.id == number


async def test_a_participant_is_active_once_its_transport_is_up_and_versions_rise() -> None:
    house = House()
    ada = await house.join("ada")
    ada.news()
    bob = await house.join("bob", connected=False)
    joined = one(ada.news(), "update").update.participants[0]
    assert joined.state == State.JOINED
    bob.peers[0].events.on_connected()
    await quiet()
    active = one(ada.news(), "update").update.participants[0]
    assert (active.identity, active.state) == ("bob", State.ACTIVE)
    assert active.version > joined.version
    own = one(bob.news(), "update").update.participants[0]
    assert (own.identity, own.state) == ("bob", State.ACTIVE)


async def test_a_track_says_whether_its_sound_comes_with_redundancy() -> None:
    ada = await House().join()
    ada.news()
    secret = models.Encryption.Type.GCM
    sound = models.TrackType.AUDIO
    unknown = rtc.AddTrackRequest.FromString(
        rtc.AddTrackRequest(cid="d", type=sound).SerializeToString() + b"\x70\x63"
    )
    wishes = [
        (rtc.AddTrackRequest(cid="a", type=sound), False),
        (rtc.AddTrackRequest(cid="b", type=sound, disable_red=True), True),
        (rtc.AddTrackRequest(cid="c", type=sound, encryption=secret), True),
        (unknown, True),
    ]
    for wish, expected in wishes:
        published = one(await ada.say(add_track=wish), "track_published").track_published
        assert published.track.disable_red is expected


async def test_publishing_gives_the_others_the_track_and_then_asks_for_an_offer() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    for visitor in (ada, bob):
        visitor.news()
    sid = await ada.publish("cam", "video", "7")
    assert sid.startswith("TR_VC")
    news = bob.news()
    assert kinds(news) == ["update", "media_sections_requirement"]
    track = news[0].update.participants[0].tracks[0]
    assert (track.sid, track.mime_type, track.mid, track.simulcast) == (sid, "video/VP8", "7", True)
    assert track.codecs[0].cid == "cam"
    asked = news[1].media_sections_requirement
    assert (asked.num_audios, asked.num_videos) == (0, 0)  # an idle section is there
    answer = one(await bob.offer(FIRST_OFFER, 2), "answer").answer
    assert dict(answer.mid_to_track_id) == {"1": sid}
    owner = house.calls.participant_sid("ada", "garden")
    assert bob.peers[0].wanted == {sid: f"{owner}|{sid}"}
    assert house.calls.track_count == 1


async def test_the_publisher_learns_of_its_first_subscriber() -> None:
    house = House()
    ada = await house.join("ada")
    sid = await ada.publish("mic", "audio", "7")
    assert "track_subscribed" not in kinds(ada.news())
    await house.join("bob")
    assert one(ada.news(), "track_subscribed").track_subscribed.track_sid == sid
    await house.join("cyd")
    assert "track_subscribed" not in kinds(ada.news())


async def test_sections_are_asked_for_as_the_difference_and_once() -> None:
    house = House()
    bob = await house.join("bob", offer="0:audio:recvonly")
    bob.news()
    ada, cyd = await house.join("ada"), await house.join("cyd")
    for visitor, mid in ((ada, "7"), (cyd, "8")):
        await visitor.publish("mic", "audio", mid)
    news = [
        m.media_sections_requirement for m in bob.news() if m.HasField("media_sections_requirement")
    ]
    assert [(asked.num_audios, asked.num_videos) for asked in news] == [(0, 0)]
    # This offer was already on its way: the second track still lacks its section.
    news_after = await bob.offer("0:audio:recvonly", 2)
    asked = one(news_after, "media_sections_requirement").media_sections_requirement
    assert (asked.num_audios, asked.num_videos) == (1, 0)
    answer = one(await bob.offer("0:audio:recvonly 3:audio:recvonly", 3), "answer").answer
    assert len(answer.mid_to_track_id) == 2  # the map is complete every time


async def test_a_late_joiner_gets_what_is_running_in_its_first_answer() -> None:
    house = House()
    ada = await house.join("ada")
    sids = {await ada.publish("mic", "audio", "7"), await ada.publish("cam", "video", "8")}
    bob = await house.join("bob", connected=False)
    join, answer = bob.news()
    assert {t.sid for t in join.join.other_participants[0].tracks} == sids
    assert set(dict(answer.answer.mid_to_track_id).values()) == sids


async def test_without_auto_subscribe_only_what_is_asked_for_comes() -> None:
    house = House()
    ada = await house.join("ada")
    sid = await ada.publish("mic", "audio", "7")
    bob = await house.join("bob", auto_subscribe=False)
    assert bob.peers[0].wanted == {}
    bob.news()
    news = await bob.say(
        subscription=rtc.UpdateSubscription(track_sids=[sid, "TR_none"], subscribe=True)
    )
    assert list(bob.peers[0].wanted) == [sid]
    assert "media_sections_requirement" in kinds(news)
    failed = one(news, "subscription_response").subscription_response
    assert failed.track_sid == "TR_none"
    assert failed.err == models.SubscriptionError.SE_TRACK_NOTFOUND
    await bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))
    assert bob.peers[0].wanted == {}


async def test_muting_silences_the_media_and_tells_everybody() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    sid = await ada.publish("mic", "audio", "7")
    for visitor in (ada, bob):
        visitor.news()
    own = one(await ada.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True)), "update")
    assert own.update.participants[0].tracks[0].muted
    assert one(bob.news(), "update").update.participants[0].tracks[0].muted
    assert ada.peers[0].muted == {sid: True}


async def test_nobody_mutes_another_s_track() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    sid = await ada.publish("mic", "audio", "7")
    bob.news()
    news = await bob.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    refused = one(news, "request_response").request_response
    assert refused.reason == rtc.RequestResponse.Reason.NOT_FOUND
    assert refused.mute.sid == sid
    assert ada.peers[0].muted == {}


async def test_a_track_announced_muted_starts_muted() -> None:
    house = House()
    ada = await house.join("ada")
    ada.news()
    wish = rtc.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO, muted=True)
    published = one(await ada.say(add_track=wish), "track_published").track_published
    assert published.cid == "mic"
    assert published.track.muted
    await ada.offer("7:audio:sendonly:mic", 2)
    assert ada.peers[0].muted == {published.track.sid: True}


async def test_unpublishing_takes_the_track_from_the_others() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    await ada.publish("mic", "audio", "7")
    await bob.offer(FIRST_OFFER, 2)
    bob.news()
    await ada.offer("7:audio:inactive", 4)
    news = bob.news()
    assert list(one(news, "update").update.participants[0].tracks) == []
    assert "media_sections_requirement" in kinds(news)
    assert bob.peers[0].wanted == {}
    assert house.calls.track_count == 0


async def test_leaving_closes_the_transport_tells_the_others_and_ends_the_empty_room() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    await ada.publish("mic", "audio", "7")
    bob.news()
    assert await ada.say(leave=rtc.LeaveRequest()) == []
    gone = one(bob.news(), "update").update.participants[0]
    assert (gone.identity, gone.state) == ("ada", State.DISCONNECTED)
    assert gone.disconnect_reason == models.DisconnectReason.CLIENT_INITIATED
    assert gone.sid.startswith("PA_")
    assert bob.peers[0].wanted == {}
    await ada.task
    assert ada.socket.closed
    assert ada.peers[0].closed
    await bob.say_raw(None)  # the socket is gone
    await bob.task
    assert (house.calls.room_count, house.calls.participant_count) == (0, 0)
    assert house.media.open_count() == 0
    assert house.audit.names()[-1] == "room_ended"


async def test_the_newcomer_of_an_identity_wins() -> None:
    house = House()
    bob = await house.join("bob")
    older = await house.join("ada")
    sid = await older.publish("mic", "audio", "7")
    assert sid in bob.peers[0].wanted
    older.news()
    bob.news()
    newer = await house.join("ada")
    leave = one(older.news(), "leave").leave
    assert leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
    assert leave.action == rtc.LeaveRequest.Action.DISCONNECT
    await older.task
    assert older.peers[0].closed
    seen = [p for m in bob.news() if m.HasField("update") for p in m.update.participants]
    assert {p.state for p in seen} == {State.JOINED, State.ACTIVE}  # no DISCONNECTED in between
    assert {p.sid for p in seen} == {house.calls.participant_sid("ada", "garden")}
    assert bob.peers[0].wanted == {}
    assert not newer.task.done()
    assert (house.calls.participant_count, house.calls.track_count) == (2, 0)


async def test_old_clients_are_told_of_the_session_that_was_replaced() -> None:
    house = House()
    bob = await house.join("bob", protocol=9)
    await house.join("ada")
    bob.news()
    await house.join("ada", connected=False)
    people = one(bob.news(), "update").update.participants
    assert [p.state for p in people] == [State.DISCONNECTED, State.JOINED]


async def test_the_hidden_are_not_announced() -> None:
    house = House()
    ada = await house.join("ada")
    ada.news()
    ghost = await house.join("ghost", hidden=True)
    assert ada.news() == []
    assert "join" in kinds(ghost.news())
    bob = await house.join("bob")
    join = one(bob.news(), "join").join
    assert [p.identity for p in join.other_participants] == ["ada"]
    assert join.room.num_participants == 2


async def test_publishing_without_the_right_is_refused_and_changes_nothing() -> None:
    house = House()
    bob = await house.join("bob")
    bob.news()
    ada = await house.join("ada", can_publish=False)
    assert not one(ada.news(), "join").join.participant.permission.can_publish
    bob.news()
    wish = rtc.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO)
    refused = one(await ada.say(add_track=wish), "request_response").request_response
    assert refused.reason == rtc.RequestResponse.Reason.NOT_ALLOWED
    assert refused.add_track.cid == "mic"
    await ada.offer("7:audio:sendonly:mic", 2)  # the media plane is given nothing to match
    assert bob.news() == []
    assert house.calls.track_count == 0
    assert ("publish_refused") in house.audit.names()


async def test_without_the_right_to_subscribe_nothing_is_sent() -> None:
    house = House()
    ada = await house.join("ada")
    sid = await ada.publish("mic", "audio", "7")
    bob = await house.join("bob", can_subscribe=False)
    bob.news()
    news = await bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    assert bob.peers[0].wanted == {}
    assert not one(news, "subscription_permission_update").subscription_permission_update.allowed


async def test_a_publisher_chooses_who_may_listen() -> None:
    house = House()
    ada, bob, cyd = [await house.join(name) for name in ("ada", "bob", "cyd")]
    sid = await ada.publish("mic", "audio", "7")
    assert list(bob.peers[0].wanted) == list(cyd.peers[0].wanted) == [sid]
    bob.news()
    only_cyd = rtc.TrackPermission(participant_identity="cyd", all_tracks=True)
    await ada.say(subscription_permission={"track_permissions": [only_cyd]})
    assert bob.peers[0].wanted == {}
    assert list(cyd.peers[0].wanted) == [sid]
    lost = one(bob.news(), "subscription_permission_update").subscription_permission_update
    assert (lost.track_sid, lost.allowed) == (sid, False)
    await ada.say(subscription_permission={"all_participants": True})
    assert list(bob.peers[0].wanted) == [sid]


async def test_tracks_that_never_get_their_media_are_capped() -> None:
    house = House(limits=Limits(pending_tracks=2, tracks_per_participant=10))
    ada = await house.join("ada")
    ada.news()
    for cid in ("a", "b"):
        wish = rtc.AddTrackRequest(cid=cid, type=models.TrackType.AUDIO)
        one(await ada.say(add_track=wish), "track_published")
    wish = rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO)
    refused = one(await ada.say(add_track=wish), "request_response").request_response
    assert refused.reason == rtc.RequestResponse.Reason.LIMIT_EXCEEDED
    house.clock.advance(31.0)
    one(await ada.say(add_track=wish), "track_published")


async def test_two_connections_are_offered_to_one_at_a_time() -> None:
    house = House()
    bob = await house.join("bob")
    ada = await house.join("ada", dual=True, connected=False)
    join, offer = ada.news()
    assert join.join.subscriber_primary
    assert offer.offer.id == 1
    await bob.publish("mic", "audio", "7")
    assert "offer" not in kinds(ada.news())  # the first one is unanswered
    answer = rtc.SessionDescription(type="answer", sdp="yes", id=0)
    assert one(await ada.say(answer=answer), "offer").offer.id == 2
    answer.id = 2
    assert await ada.say(answer=answer) == []
    ada.peers[0].events.on_connected()
    await quiet()
    assert ada.news() == []  # the publisher's transport is not the primary one
    ada.peers[1].events.on_connected()
    await quiet()
    assert one(ada.news(), "update").update.participants[0].state == State.ACTIVE


async def test_two_connections_publish_on_the_first() -> None:
    house = House()
    bob = await house.join("bob")
    bob.news()
    ada = await house.join("ada", dual=True)
    bob.news()
    sid = await ada.publish("cam", "video", "0")
    assert list(ada.peers[0].published.values()) == [sid]
    assert one(bob.news(), "update").update.participants[0].tracks[0].sid == sid


async def test_pings_are_answered_in_milliseconds() -> None:
    ada = await House().join("ada")
    ada.news()
    assert one(await ada.say(ping=5), "pong").pong == 1_700_001_000_000
    news = await ada.say(ping_req=rtc.Ping(timestamp=123, rtt=4))
    pong = one(news, "pong_resp").pong_resp
    assert (pong.last_ping_timestamp, pong.timestamp) == (123, 1_700_001_000_000)


async def test_words_about_oneself_change_with_the_right_to_change_them() -> None:
    house = House()
    bob = await house.join("bob")
    ada = await house.join("ada", can_update_own_metadata=True)
    for visitor in (ada, bob):
        visitor.news()
    wish = rtc.UpdateParticipantMetadata(metadata="hi", attributes={"hand": "up"}, request_id=4)
    news = await ada.say(update_metadata=wish)
    told = one(news, "request_response").request_response
    assert (told.request_id, told.reason) == (4, rtc.RequestResponse.Reason.OK)
    seen = one(bob.news(), "update").update.participants[0]
    assert (seen.metadata, dict(seen.attributes)) == ("hi", {"hand": "up"})
    refused = one(await bob.say(update_metadata=wish), "request_response").request_response
    assert refused.reason == rtc.RequestResponse.Reason.NOT_ALLOWED
    assert refused.request_id == 4


async def test_speakers_are_told_to_their_own_room_only() -> None:
    house = House()
    ada, bob = await house.join("ada"), await house.join("bob")
    eve = await house.join("eve", room="cellar")
    sid = await ada.publish("mic", "audio", "7")
    for visitor in (ada, bob, eve):
        visitor.news()
    house.calls.on_levels([(sid, 0.5), ("TR_unknown", 1.0)])
    await quiet()
    speaker = one(bob.news(), "speakers_changed").speakers_changed.speakers[0]
    assert speaker.sid == house.calls.participant_sid("ada", "garden")
    assert (speaker.level, speaker.active) == (0.5, True)
    assert eve.news() == []
    ada.news()
    news = await ada.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    assert not one(news, "speakers_changed").speakers_changed.speakers[0].active
    bob.news()
    house.calls.on_levels([(sid, 0.9)])  # whatever a muted client still sends
    await quiet()
    assert bob.news() == []


async def test_a_transport_report_is_kept_for_each_participant() -> None:
    house = House()
    await house.join("ada", dual=True)
    roles = [report.role.value for report in house.calls.transport_reports("ada", "garden")]
    assert roles == ["publisher", "subscriber"]
    assert house.calls.transport_reports("ada", "cellar") == []
