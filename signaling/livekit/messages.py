"""What we say: domain values as LiveKit's SignalResponse messages.

Values that abort a Python client never appear here: every sid has its prefix, JoinResponse carries
its room, track_published its track, ping intervals are not nought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from livekit.protocol import models, rtc

from signaling.calls.events import (
    ConnectionsChanged,
    PermissionChanged,
    QualityWanted,
    TrackWithheld,
)
from signaling.calls.joining import Welcome
from signaling.domain.condition import ConnectionQuality
from signaling.domain.grants import TrackSource
from signaling.domain.people import Departure, Participant, ParticipantState, RoomView
from signaling.domain.tracks import Codec, Layer, MediaKind, Track
from signaling.domain.viewing import Quality
from signaling.livekit.latest import Remembered
from signaling.ports import Sections
from signaling.rooms.speakers import Speaker

PING_INTERVAL = 5
PING_TIMEOUT = 15
"""Seconds; LiveKit's own. Nought makes a Python client abort."""
SERVER_VERSION = "1.13.5"
"""The LiveKit version whose behaviour we follow: clients gate features on it."""
PROTOCOL = 17

PUBLISH_CODECS = ("video/VP8", "video/H264", "video/VP9", "video/AV1", "audio/opus")
"""Video first (Flutter needs it), VP8 before all. RED is refused for now."""

_SOURCES = {
    TrackSource.CAMERA: models.TrackSource.CAMERA,
    TrackSource.MICROPHONE: models.TrackSource.MICROPHONE,
    TrackSource.SCREEN_SHARE: models.TrackSource.SCREEN_SHARE,
    TrackSource.SCREEN_SHARE_AUDIO: models.TrackSource.SCREEN_SHARE_AUDIO,
    TrackSource.UNKNOWN: models.TrackSource.UNKNOWN,
}

_CONNECTIONS = {
    ConnectionQuality.LOST: models.ConnectionQuality.LOST,
    ConnectionQuality.POOR: models.ConnectionQuality.POOR,
    ConnectionQuality.GOOD: models.ConnectionQuality.GOOD,
    ConnectionQuality.EXCELLENT: models.ConnectionQuality.EXCELLENT,
}
_SCORES = {
    ConnectionQuality.LOST: 0.0,
    ConnectionQuality.POOR: 2.0,
    ConnectionQuality.GOOD: 3.5,
    ConnectionQuality.EXCELLENT: 4.5,
}
"""A mean opinion score for each, 1 to 5; clients show the words."""
_QUALITIES = {
    Quality.LOW: models.VideoQuality.LOW,
    Quality.MEDIUM: models.VideoQuality.MEDIUM,
    Quality.HIGH: models.VideoQuality.HIGH,
}

_REASONS = {
    Departure.CLIENT_INITIATED: models.DisconnectReason.CLIENT_INITIATED,
    Departure.DUPLICATE_IDENTITY: models.DisconnectReason.DUPLICATE_IDENTITY,
    Departure.SERVER_SHUTDOWN: models.DisconnectReason.SERVER_SHUTDOWN,
    Departure.GRANT_EXPIRED: models.DisconnectReason.PARTICIPANT_REMOVED,
    Departure.JOIN_FAILURE: models.DisconnectReason.JOIN_FAILURE,
    Departure.SIGNAL_CLOSED: models.DisconnectReason.SIGNAL_CLOSE,
    Departure.SIGNAL_TIMEOUT: models.DisconnectReason.CONNECTION_TIMEOUT,
    Departure.SLOW_READER: models.DisconnectReason.SIGNAL_CLOSE,
    Departure.PROTOCOL_FAULT: models.DisconnectReason.STATE_MISMATCH,
    Departure.MEDIA_FAILURE: models.DisconnectReason.MEDIA_FAILURE,
    Departure.INTERNAL: models.DisconnectReason.UNKNOWN_REASON,
}

_STATES = {
    ParticipantState.JOINING: models.ParticipantInfo.State.JOINING,
    ParticipantState.JOINED: models.ParticipantInfo.State.JOINED,
    ParticipantState.ACTIVE: models.ParticipantInfo.State.ACTIVE,
    ParticipantState.DISCONNECTED: models.ParticipantInfo.State.DISCONNECTED,
}
_KINDS = {
    "standard": models.ParticipantInfo.Kind.STANDARD,
    "ingress": models.ParticipantInfo.Kind.INGRESS,
    "egress": models.ParticipantInfo.Kind.EGRESS,
    "sip": models.ParticipantInfo.Kind.SIP,
    "agent": models.ParticipantInfo.Kind.AGENT,
    "connector": models.ParticipantInfo.Kind.CONNECTOR,
    "bridge": models.ParticipantInfo.Kind.BRIDGE,
}


def join(welcome: Welcome, *, dual: bool) -> rtc.SignalResponse:
    """The first message of a session."""
    grant = welcome.participant.grant
    return rtc.SignalResponse(
        join=rtc.JoinResponse(
            room=room_info(welcome.room),
            participant=participant_info(welcome.participant),
            other_participants=[participant_info(other) for other in welcome.others],
            server_version=SERVER_VERSION,
            server_info=models.ServerInfo(
                edition=models.ServerInfo.Edition.Standard,
                version=SERVER_VERSION,
                protocol=PROTOCOL,
                node_id="ND_conclave",
            ),
            client_configuration=models.ClientConfiguration(
                resume_connection=models.ClientConfigSetting.DISABLED
            ),
            subscriber_primary=dual and grant.can_subscribe,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            enabled_publish_codecs=[models.Codec(mime=mime) for mime in PUBLISH_CODECS],
            fast_publish=grant.can_publish,
        )
    )


def answer(sdp: str, number: int, mid_to_track: Mapping[str, str]) -> rtc.SignalResponse:
    """Echoes the offer's number; the map is complete every time."""
    return rtc.SignalResponse(
        answer=rtc.SessionDescription(
            type="answer", sdp=sdp, id=number, mid_to_track_id=dict(mid_to_track)
        )
    )


def offer(sdp: str, number: int) -> rtc.SignalResponse:
    return rtc.SignalResponse(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=number))


def update(participants: Iterable[Participant]) -> rtc.SignalResponse:
    infos = [participant_info(participant) for participant in participants]
    return rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=infos))


def track_published(cid: str, track: Track) -> rtc.SignalResponse:
    return rtc.SignalResponse(
        track_published=rtc.TrackPublishedResponse(cid=cid, track=track_info(track))
    )


def track_subscribed(track_sid: str) -> rtc.SignalResponse:
    return rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=track_sid))


def speakers_changed(speakers: Iterable[Speaker]) -> rtc.SignalResponse:
    infos = [models.SpeakerInfo(sid=s.sid, level=s.level, active=s.active) for s in speakers]
    return rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=infos))


def permission_changed(change: PermissionChanged) -> rtc.SignalResponse:
    return rtc.SignalResponse(
        subscription_permission_update=rtc.SubscriptionPermissionUpdate(
            participant_sid=change.publisher_sid,
            track_sid=change.track_sid,
            allowed=change.allowed,
        )
    )


def stream_state(change: TrackWithheld) -> rtc.SignalResponse:
    """Whether a track stands still for want of bandwidth. What a client itself asked to be paused
    is not told of, as in LiveKit.
    """
    state = rtc.StreamState.PAUSED if change.withheld else rtc.StreamState.ACTIVE
    info = rtc.StreamStateInfo(
        participant_sid=change.publisher_sid, track_sid=change.track_sid, state=state
    )
    return rtc.SignalResponse(stream_state_update=rtc.StreamStateUpdate(stream_states=[info]))


def connection_quality(change: ConnectionsChanged) -> rtc.SignalResponse:
    """How good connections are. LiveKit's numbers are not in the order of their worth."""
    updates = [
        rtc.ConnectionQualityInfo(
            participant_sid=sid, quality=_CONNECTIONS[quality], score=_SCORES[quality]
        )
        for sid, quality in change.qualities.items()
    ]
    return rtc.SignalResponse(connection_quality=rtc.ConnectionQualityUpdate(updates=updates))


def quality_wanted(change: QualityWanted) -> rtc.SignalResponse:
    """Which layers anybody wants. Old clients read the first list, newer ones that of a codec."""
    qualities = [
        rtc.SubscribedQuality(quality=number, enabled=quality <= change.highest)
        for quality, number in _QUALITIES.items()
    ]
    codec = change.mime_type.rpartition("/")[2].lower()
    return rtc.SignalResponse(
        subscribed_quality_update=rtc.SubscribedQualityUpdate(
            track_sid=change.track_sid,
            subscribed_qualities=qualities,
            subscribed_codecs=[rtc.SubscribedCodec(codec=codec, qualities=qualities)],
        )
    )


def sections_required(sections: Sections) -> rtc.SignalResponse:
    """How many receive-only sections to add; nought and nought still asks for an offer."""
    return rtc.SignalResponse(
        media_sections_requirement=rtc.MediaSectionsRequirement(
            num_audios=sections.audio, num_videos=sections.video
        )
    )


def leave(departure: Departure, *, again: bool = False) -> rtc.SignalResponse:
    """The end. `again` asks the client for a fresh join, otherwise it is to stay away."""
    action = rtc.LeaveRequest.Action.RECONNECT if again else rtc.LeaveRequest.Action.DISCONNECT
    return rtc.SignalResponse(
        leave=rtc.LeaveRequest(can_reconnect=again, reason=_REASONS[departure], action=action)
    )


def cannot_resume() -> rtc.SignalResponse:
    """The answer to every resume: the session is unknown, join afresh."""
    return leave(Departure.PROTOCOL_FAULT, again=True)


def subscription_failed(track_sid: str) -> rtc.SignalResponse:
    return rtc.SignalResponse(
        subscription_response=rtc.SubscriptionResponse(
            track_sid=track_sid, err=models.SubscriptionError.SE_TRACK_NOTFOUND
        )
    )


def pong(timestamp: int) -> rtc.SignalResponse:
    """To the old ping; Unix milliseconds."""
    return rtc.SignalResponse(pong=timestamp)


def pong_response(last: int, now: int) -> rtc.SignalResponse:
    """To ping_req; Unix milliseconds."""
    return rtc.SignalResponse(pong_resp=rtc.Pong(last_ping_timestamp=last, timestamp=now))


def room_info(room: RoomView) -> models.Room:
    return models.Room(
        sid=room.sid,
        name=room.name,
        creation_time=int(room.created_at),
        creation_time_ms=int(room.created_at * 1000),
        num_participants=room.participants,
        num_publishers=room.publishers,
        max_participants=room.max_participants,
        enabled_codecs=[models.Codec(mime=mime) for mime in PUBLISH_CODECS],
    )


def _participant_info(participant: Participant) -> models.ParticipantInfo:
    grant = participant.grant
    info = models.ParticipantInfo(
        sid=participant.sid,
        identity=participant.identity,
        state=_STATES[participant.state],
        tracks=[track_info(track) for track in participant.tracks],
        name=participant.name,
        metadata=participant.metadata,
        attributes=dict(participant.attributes),
        joined_at=int(participant.joined_at),
        joined_at_ms=int(participant.joined_at * 1000),
        version=participant.version,
        is_publisher=bool(participant.tracks),
        kind=_KINDS.get(grant.kind, models.ParticipantInfo.Kind.STANDARD),
        client_protocol=participant.client.client_protocol,
        capabilities=list(participant.client.capabilities),
        permission=models.ParticipantPermission(
            can_subscribe=grant.can_subscribe,
            can_publish=grant.can_publish,
            can_publish_data=grant.can_publish_data,
            can_publish_sources=[_SOURCES[source] for source in sorted(grant.can_publish_sources)],
            can_update_metadata=grant.can_update_own_metadata,
            hidden=grant.hidden,
            recorder=grant.recorder,
            agent=grant.agent,
        ),
    )
    if participant.departure is not None:
        info.disconnect_reason = _REASONS[participant.departure]
    return info


_described: Remembered[Participant, bytes] = Remembered(
    lambda participant: _participant_info(participant).SerializeToString()
)


def participant_info(participant: Participant) -> models.ParticipantInfo:
    """Of one participant at one version. Put together once and read again from then on, which is a
    tenth of the work, since everybody who comes is told of everybody.
    """
    return models.ParticipantInfo.FromString(_described(participant))


def track_info(track: Track) -> models.TrackInfo:
    wish = track.wish
    video = track.kind is MediaKind.VIDEO
    first = wish.codecs[0] if wish.codecs else Codec("", wish.cid, wish.layers)
    mime_type = track.mime_type or first.mime_type
    return models.TrackInfo(
        sid=track.sid,
        type=models.TrackType.VIDEO if video else models.TrackType.AUDIO,
        source=_SOURCES[wish.source],
        name=wish.name,
        muted=track.muted,
        width=wish.width,
        height=wish.height,
        simulcast=video and track.layers > 1,
        disable_dtx=wish.disable_dtx,
        stereo=wish.stereo,
        disable_red=not wish.redundant,
        encryption=wish.encryption,
        backup_codec_policy=wish.backup_codec_policy,
        stream=wish.stream or _stream(wish.source),
        layers=[_layer(layer) for layer in wish.layers],
        mime_type=mime_type,
        mid=track.mid,
        codecs=[_codec(first, mime_type, track.mid)],
        audio_features=list(wish.audio_features),
    )


def _stream(source: TrackSource) -> str:
    """The grouping LiveKit fills in: what belongs in sync."""
    if source in (TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO):
        return "screen share"
    return "camera"


def _codec(codec: Codec, mime_type: str, mid: str) -> models.SimulcastCodecInfo:
    return models.SimulcastCodecInfo(
        mime_type=mime_type,
        mid=mid,
        cid=codec.cid,
        layers=[_layer(layer) for layer in codec.layers],
        video_layer_mode=codec.layer_mode,
    )


def _layer(layer: Layer) -> models.VideoLayer:
    return models.VideoLayer(
        quality=layer.quality,
        width=layer.width,
        height=layer.height,
        bitrate=layer.bitrate,
        spatial_layer=layer.spatial_layer,
        rid=layer.rid,
    )
