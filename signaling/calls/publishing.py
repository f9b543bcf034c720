"""What one member publishes: announced, waiting for its media, running."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from signaling.calls.call import Call
from signaling.domain.errors import Refusal
from signaling.domain.grants import Grant
from signaling.domain.ids import track_prefix
from signaling.domain.limits import MAX_NAME
from signaling.domain.tracks import Track, TrackWish
from signaling.ports import MediaPeer, Negotiated, PendingTrack, PublishedMedia
from signaling.rooms.pending import PendingTracks

if TYPE_CHECKING:
    from signaling.calls.calls import Calls


class Publications:
    """The publishing half of a member; `uplink` is the transport its media comes on."""

    def __init__(self, calls: Calls, grant: Grant, sid: str, uplink: MediaPeer) -> None:
        self._calls = calls
        self._grant = grant
        self._sid = sid
        self._uplink = uplink
        self._pending = PendingTracks(calls.limits)
        self._running: set[str] = set()

    def announce(self, call: Call, wish: TrackWish) -> Track:
        """Give an announced track its sid; others see it once its media section is negotiated.

        Raises `Refusal` `publish_not_allowed`, `source_not_allowed`, `too_many_tracks`,
        `too_many_pending_tracks`, `name_too_long`. Announcing the same cid again while it waits
        returns the track it got.
        """
        self._pending.expire(self._calls.clock.monotonic())
        known = self._pending.by_cid(wish.cid)
        try:
            self._check(wish)
            if known is None:
                call.room.check_track_space(self._sid, len(self._pending))
        except Refusal as refusal:
            self._record(call, "publish_refused", code=refusal.code)
            raise
        if known is not None:
            return known
        sid = self._calls.make_sid(track_prefix(wish.kind, wish.source))
        track = Track(sid=sid, wish=wish, muted=wish.muted)
        self._pending.add(track, self._calls.clock.monotonic())
        return track

    def waiting(self) -> list[PendingTrack]:
        """What may be matched by the next offer, oldest first."""
        self._pending.expire(self._calls.clock.monotonic())
        return [PendingTrack(t.sid, t.wish.cid, t.kind, t.wish.redundant) for t in self._pending]

    def negotiated(self, call: Call, outcome: Negotiated) -> None:
        """Tell the room which tracks went and came with an offer."""
        for track_sid in outcome.unpublished:
            if track_sid in self._running:
                self._record(call, "track_unpublished", track=track_sid)
                self._running.discard(track_sid)
                self._calls.tracks.pop(track_sid, None)
                call.unpublish(self._sid, track_sid)
        for media in outcome.published:
            self._run(call, media)

    def set_muted(self, call: Call, track_sid: str, muted: bool) -> None:
        """Raises `Refusal` `track_not_found`."""
        if self._pending.get(track_sid) is not None:
            self._pending.set_muted(track_sid, muted)
            return
        track = self._own(call, track_sid)
        if track.muted != muted:
            self._uplink.set_muted(track_sid, muted)
            call.set_muted(self._sid, track, muted)

    def describe(self, call: Call, track_sid: str, **words: Any) -> None:
        """Change words of the track's description. Raises `Refusal` `track_not_found`."""
        track = self._own(call, track_sid)
        call.amend(self._sid, replace(track, wish=replace(track.wish, **words)))

    def forget(self) -> None:
        """The member is gone, its tracks with it."""
        for track_sid in self._running:
            self._calls.tracks.pop(track_sid, None)
        self._running.clear()

    def _check(self, wish: TrackWish) -> None:
        if not self._grant.can_publish:
            raise Refusal("publish_not_allowed", "The token does not allow publishing.")
        if not self._grant.may_publish(wish.source):
            raise Refusal("source_not_allowed", "The token does not allow publishing this source.")
        if max(map(len, (wish.cid, wish.name, wish.stream))) > MAX_NAME:
            raise Refusal("name_too_long", f"A name may have at most {MAX_NAME} characters.")

    def _run(self, call: Call, media: PublishedMedia) -> None:
        pending = self._pending.take(media.track_id)
        if pending is None:
            return
        source = pending.wish.source.value
        self._record(call, "track_published", track=pending.sid, source=source)
        if pending.muted:
            self._uplink.set_muted(pending.sid, True)
        self._running.add(pending.sid)
        self._calls.tracks[pending.sid] = call
        track = replace(pending, mime_type=media.mime_type, mid=media.mid, layers=media.layers)
        call.publish(self._sid, track)

    def _own(self, call: Call, track_sid: str) -> Track:
        track = call.room[self._sid].track(track_sid)
        if track is None:
            raise Refusal("track_not_found", "There is no such track of yours.")
        return track

    def _record(self, call: Call, event: str, **fields: str) -> None:
        self._calls.audit.record(event, room=call.room.sid, participant=self._sid, **fields)
