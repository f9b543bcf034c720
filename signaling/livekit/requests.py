"""What clients say, as domain values; capped, and stripped of enum values we do not know."""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol import models, rtc

from signaling.domain.errors import Refusal
from signaling.domain.grants import TrackSource
from signaling.domain.tracks import Codec, Layer, MediaKind, TrackWish
from signaling.domain.viewing import Quality, TrackSetting
from signaling.rooms.audience import Permission

MAX_SIDS = 2_000
"""Track sids in one request."""
MAX_FRAME_RATE = 255
"""Pictures a second; whoever asks for more gets all there are."""
_MAX_LAYERS = 8
_MAX_CODECS = 4
_MAX_WORD = 64

_SOURCES = {
    models.TrackSource.CAMERA: TrackSource.CAMERA,
    models.TrackSource.MICROPHONE: TrackSource.MICROPHONE,
    models.TrackSource.SCREEN_SHARE: TrackSource.SCREEN_SHARE,
    models.TrackSource.SCREEN_SHARE_AUDIO: TrackSource.SCREEN_SHARE_AUDIO,
}

_QUALITIES = {
    models.VideoQuality.LOW: Quality.LOW,
    models.VideoQuality.MEDIUM: Quality.MEDIUM,
    models.VideoQuality.HIGH: Quality.HIGH,
    models.VideoQuality.OFF: Quality.OFF,
}

_NOT_ALLOWED = rtc.RequestResponse.Reason.NOT_ALLOWED
_LIMIT_EXCEEDED = rtc.RequestResponse.Reason.LIMIT_EXCEEDED
_UNSUPPORTED = rtc.RequestResponse.Reason.UNSUPPORTED_TYPE

_REASONS = {
    "publish_not_allowed": _NOT_ALLOWED,
    "source_not_allowed": _NOT_ALLOWED,
    "update_not_allowed": _NOT_ALLOWED,
    "not_served": _NOT_ALLOWED,
    "too_many_tracks": _LIMIT_EXCEEDED,
    "too_many_pending_tracks": _LIMIT_EXCEEDED,
    "too_many_items": _LIMIT_EXCEEDED,
    "name_too_long": _LIMIT_EXCEEDED,
    "metadata_too_long": _LIMIT_EXCEEDED,
    "attributes_too_long": _LIMIT_EXCEEDED,
    "track_type_unsupported": _UNSUPPORTED,
    "backup_codec_unsupported": _UNSUPPORTED,
    "track_not_found": rtc.RequestResponse.Reason.NOT_FOUND,
}


def refused(
    refusal: Refusal, request: rtc.SignalRequest, request_id: int = 0
) -> rtc.SignalResponse:
    """A request_response with what was asked, where the protocol has a place for it."""
    response = rtc.RequestResponse(
        request_id=request_id,
        reason=_REASONS.get(refusal.code, rtc.RequestResponse.Reason.INVALID_REQUEST),
        message=f"{refusal.code}: {refusal.sentence}",
    )
    match request.WhichOneof("message"):
        case "add_track":
            response.add_track.CopyFrom(request.add_track)
        case "mute":
            response.mute.CopyFrom(request.mute)
        case "update_metadata":
            response.update_metadata.CopyFrom(request.update_metadata)
        case "update_audio_track":
            response.update_audio_track.CopyFrom(request.update_audio_track)
        case "update_video_track":
            response.update_video_track.CopyFrom(request.update_video_track)
        case "publish_data_track_request":
            response.publish_data_track.CopyFrom(request.publish_data_track_request)
        case "unpublish_data_track_request":
            response.unpublish_data_track.CopyFrom(request.unpublish_data_track_request)
    return rtc.SignalResponse(request_response=response)


def done(request: rtc.SignalRequest, request_id: int) -> rtc.SignalResponse:
    """A request_response that says yes."""
    response = rtc.RequestResponse(request_id=request_id, reason=rtc.RequestResponse.Reason.OK)
    response.update_metadata.CopyFrom(request.update_metadata)
    return rtc.SignalResponse(request_response=response)


def track_wish(request: rtc.AddTrackRequest) -> TrackWish:
    """Raises `Refusal` `track_type_unsupported`, `backup_codec_unsupported`, `cid_missing`,
    `too_many_items`.
    """
    if request.type == models.TrackType.AUDIO:
        kind = MediaKind.AUDIO
    elif request.type == models.TrackType.VIDEO:
        kind = MediaKind.VIDEO
    else:
        raise Refusal("track_type_unsupported", "Only audio and video tracks can be published.")
    if request.sid:
        raise Refusal("backup_codec_unsupported", "A second codec for a track is not served yet.")
    if not request.cid:
        raise Refusal("cid_missing", "The track has no client id.")
    if len(request.layers) > _MAX_LAYERS or len(request.simulcast_codecs) > _MAX_CODECS:
        raise Refusal("too_many_items", "The track has too many layers or codecs.")
    return TrackWish(
        cid=request.cid,
        kind=kind,
        source=_SOURCES.get(request.source, TrackSource.UNKNOWN),
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        stream=request.stream,
        stereo=request.stereo,
        disable_dtx=request.disable_dtx,
        # Also for an encryption that is not known here, whose name is not passed on.
        disable_red=request.disable_red or request.encryption != models.Encryption.Type.NONE,
        encryption=_name(models.Encryption.Type.items(), request.encryption),
        backup_codec_policy=_name(models.BackupCodecPolicy.items(), request.backup_codec_policy),
        layers=_layers(request.layers),
        codecs=tuple(_codec(kind, codec) for codec in request.simulcast_codecs if codec.cid),
        audio_features=audio_features(request.audio_features),
    )


def audio_features(features: Iterable[int]) -> tuple[str, ...]:
    """The known ones, each once."""
    names = {number: name for name, number in models.AudioTrackFeature.items()}
    return tuple(sorted({names[feature] for feature in features if feature in names}))


def subscription(request: rtc.UpdateSubscription) -> tuple[str, ...]:
    """The track sids meant, each once. Raises `Refusal` `too_many_items`."""
    sids = list(request.track_sids[: MAX_SIDS + 1])
    for tracks in request.participant_tracks:
        sids += tracks.track_sids[: MAX_SIDS + 1]
        if len(sids) > MAX_SIDS:
            break
    if len(sids) > MAX_SIDS:
        raise Refusal("too_many_items", "Too many tracks in one request.")
    return tuple(dict.fromkeys(sids))


def track_setting(request: rtc.UpdateTrackSettings) -> tuple[tuple[str, ...], TrackSetting]:
    """The track sids meant, each once, and what is wanted of them. A size counts before a quality,
    as LiveKit has it. Raises `Refusal` `too_many_items`.
    """
    if len(request.track_sids) > MAX_SIDS:
        raise Refusal("too_many_items", "Too many tracks in one request.")
    setting = TrackSetting(
        disabled=request.disabled,
        quality=_QUALITIES.get(request.quality, Quality.HIGH),
        width=request.width,
        height=request.height,
        frame_rate=min(request.fps, MAX_FRAME_RATE),
        priority=request.priority,
    )
    return tuple(dict.fromkeys(request.track_sids)), setting


def permission(request: rtc.SubscriptionPermission) -> Permission:
    """Raises `Refusal` `too_many_items`."""
    if request.all_participants:
        return Permission()
    listed: dict[str, frozenset[str] | None] = {}
    total = 0
    for item in request.track_permissions:
        total += 1 + len(item.track_sids)
        if total > MAX_SIDS:
            raise Refusal("too_many_items", "Too many permissions in one request.")
        who = item.participant_sid or item.participant_identity
        if who:
            listed[who] = None if item.all_tracks else frozenset(item.track_sids)
    return Permission(everybody=False, tracks=listed)


def _codec(kind: MediaKind, codec: rtc.SimulcastCodec) -> Codec:
    mime_type = codec.codec if "/" in codec.codec else f"{kind}/{codec.codec}"
    return Codec(
        mime_type=mime_type[:_MAX_WORD],
        cid=codec.cid[: 4 * _MAX_WORD],
        layers=_layers(codec.layers[:_MAX_LAYERS]),
        layer_mode=_name(models.VideoLayer.Mode.items(), codec.video_layer_mode),
    )


def _layers(layers: Iterable[models.VideoLayer]) -> tuple[Layer, ...]:
    qualities = models.VideoQuality.items()
    return tuple(
        Layer(
            quality=_name(qualities, layer.quality),
            width=layer.width,
            height=layer.height,
            bitrate=layer.bitrate,
            spatial_layer=min(max(layer.spatial_layer, 0), _MAX_LAYERS),
            rid=layer.rid[:_MAX_WORD],
        )
        for layer in layers
    )


def _name(items: Iterable[tuple[str, int]], number: int) -> str:
    """The name of an enum's value, or of its first one when unknown."""
    names = {value: name for name, value in items}
    return names.get(number, names[0])
