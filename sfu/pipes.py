"""Tracks of one worker for subscribers on another (DESIGN 2.5).

A pipe joins two workers: a peer of the relay at each end, under random keys of that pipe alone, at
the other worker's own address. Over it a track crosses as one downtrack for each of its encodings,
and is a published track at the far end. It crosses while somebody there subscribes to it, and the
pipe is there while a track crosses.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sfu.commands import (
    AddDowntrack,
    AddTrack,
    ClosePeer,
    Command,
    MuteTrack,
    OpenPipe,
    RemoveDowntrack,
    RemoveTrack,
    SetDowntrack,
)
from sfu.crypto_policy import SrtpProfile
from sfu.negotiation import PIPED_EXTENSIONS
from sfu.post import Post
from sfu.tracks import Choice, PublishedTrack, TrackRegistry


@dataclass(eq=False, slots=True)
class _Pipe:
    """Two workers and what is between them."""

    ends: Mapping[int, int]  # the relay's number of the peer at each worker
    ssrcs: Mapping[int, set[int]]  # ever used under its keys, by sending worker (DESIGN 2.8)
    crossings: set[_Crossing] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class _Crossing:
    """One track on its way from one worker to another; a subscriber to the registry."""

    track: PublishedTrack
    pipe: _Pipe
    origin: Post
    target: Post
    number: int  # of the track at the far end
    downtracks: tuple[int, ...]  # at the near end, by encoding
    subscribers: dict[int, Choice]  # peers at the far end
    forget: Callable[[_Crossing], None]
    top: int = -1  # the highest encoding that is sent
    ended: bool = False

    def order(self, post: Post, *commands: Command) -> None:
        """Of one of both workers."""
        if commands:
            post.send(self.pipe.ends[post.number], commands)

    def track_published(self, track: PublishedTrack, stream_id: str) -> None:
        """From the registry: it has just been, or is another one."""

    def track_ended(self, track_id: str) -> None:
        """From the registry: the near end has ended its downtracks by itself."""
        self.ended = True
        self.forget(self)

    def wanted(self) -> int:
        """The highest encoding that a subscriber may be given, -1 for none. A narrow link gets a
        lower one than it was chosen, so that all below are wanted too.
        """
        highest = self.track.layers - 1
        return max(
            (
                highest if choice.layer is None else min(choice.layer, highest)
                for choice in self.subscribers.values()
                if not choice.paused
            ),
            default=-1,
        )


class Pipes:
    """All pipes of a media plane. `entropy` gives so many unpredictable bytes."""

    def __init__(
        self,
        posts: tuple[Post, ...],
        tracks: TrackRegistry,
        profile: SrtpProfile,
        *,
        entropy: Callable[[int], bytes],
        next_number: Callable[[], int],
    ) -> None:
        self._posts = posts
        self._tracks = tracks
        self._profile = profile
        self._entropy = entropy
        self._next_number = next_number
        self._pipes: dict[frozenset[int], _Pipe] = {}  # by the numbers of both workers
        self._crossings: dict[tuple[str, int], _Crossing] = {}  # by track id and far worker

    def __len__(self) -> int:
        return len(self._pipes)

    @property
    def crossings(self) -> int:
        """How many tracks cross."""
        return len(self._crossings)

    def reach(self, track: PublishedTrack, at: Post, subscriber: int, choice: Choice) -> int:
        """The relay's number of a track at that worker, for one more subscriber there."""
        if track.worker == at.number:
            return track.number
        crossing = self._crossings.get((track.track_id, at.number))
        if crossing is None or crossing.ended:
            return self._begin(track, at, subscriber, choice)
        crossing.subscribers[subscriber] = choice
        self._send_wanted(crossing)
        return crossing.number

    def choose(self, track_id: str, at: Post, subscriber: int, choice: Choice) -> None:
        """A subscriber at that worker wants more or less of a track."""
        crossing = self._crossings.get((track_id, at.number))
        if crossing is not None and subscriber in crossing.subscribers:
            crossing.subscribers[subscriber] = choice
            self._send_wanted(crossing)

    def leave(self, track_id: str, at: Post, subscriber: int) -> None:
        """A subscriber at that worker has no use for a track any more; idempotent. Its downtrack
        may be removed after this: the track there goes later.
        """
        crossing = self._crossings.get((track_id, at.number))
        if crossing is not None and crossing.subscribers.pop(subscriber, None) is not None:
            self._send_wanted(crossing)
            self._look_later(crossing)

    def mute(self, track_id: str, muted: bool) -> None:
        """Nothing of a muted track leaves the far end either, not even what is kept there."""
        for crossing in self._crossings.values():
            if crossing.track.track_id == track_id and not crossing.ended:
                crossing.order(crossing.target, MuteTrack(track=crossing.number, muted=muted))

    def died(self, post: Post) -> None:
        """A worker is gone: so are its pipes, and what crossed them."""
        for ends in [ends for ends in self._pipes if post.number in ends]:
            self._break(ends)

    def refused(self, number: int) -> tuple[int, ...]:
        """A worker did not carry out what was ordered of a pipe: nothing of it can be relied on.
        Who was served by it; nobody if the number is of no pipe.
        """
        for ends, pipe in self._pipes.items():
            if number in pipe.ends.values():
                return self._break(ends)
        return ()

    # --- tracks ----------------------------------------------------------------------------------

    def _begin(self, track: PublishedTrack, at: Post, subscriber: int, choice: Choice) -> int:
        origin = self._posts[track.worker]
        pipe = self._pipe(origin, at)
        ssrcs = tuple(self._new_ssrc(pipe.ssrcs[origin.number]) for _ in range(track.layers))
        crossing = _Crossing(
            track=track,
            pipe=pipe,
            origin=origin,
            target=at,
            number=self._next_number(),
            downtracks=tuple(self._next_number() for _ in ssrcs),
            subscribers={subscriber: choice},
            forget=self._look_later,
        )
        crossing.top = crossing.wanted()
        pipe.crossings.add(crossing)
        self._crossings[track.track_id, at.number] = crossing
        self._tracks.want(track.track_id, crossing, "")
        formats = tuple((spec.payload_type, spec.codec) for spec in track.formats)
        arriving = AddTrack(
            track=crossing.number,
            peer=pipe.ends[at.number],
            kind=track.kind,
            mid=str(track.publisher),
            clock_rate=track.clock_rate,
            formats=formats,
            extensions=PIPED_EXTENSIONS,
            encodings=ssrcs,
            nack=True,
        )
        leaving = [
            AddDowntrack(
                downtrack=downtrack,
                peer=pipe.ends[origin.number],
                track=track.number,
                ssrc=ssrc,
                formats=formats,
                extensions=PIPED_EXTENSIONS,
                cname="pipe",
                nack=True,
                paused=layer > crossing.top,
                only=layer,
            )
            for layer, (downtrack, ssrc) in enumerate(zip(crossing.downtracks, ssrcs, strict=True))
        ]
        crossing.order(at, arriving)
        crossing.order(origin, *leaving)
        return crossing.number

    def _send_wanted(self, crossing: _Crossing) -> None:
        """Encodings that came to be wanted are sent, and the others no more."""
        if crossing.ended:
            return
        before, crossing.top = crossing.top, crossing.wanted()
        changed = range(min(before, crossing.top) + 1, max(before, crossing.top) + 1)
        wishes = [
            SetDowntrack(
                downtrack=crossing.downtracks[layer], layer=None, paused=layer > crossing.top
            )
            for layer in changed
        ]
        crossing.order(crossing.origin, *wishes)

    def _look_later(self, crossing: _Crossing) -> None:
        """Whoever leaves has commands of its own under way, which go first."""
        asyncio.get_running_loop().call_soon(self._look, crossing)

    def _look(self, crossing: _Crossing) -> None:
        """End what has ended, or is of no use to anybody."""
        wanted = crossing.subscribers and not crossing.ended
        if wanted or crossing not in crossing.pipe.crossings:
            return
        self._drop(crossing)
        crossing.order(crossing.target, RemoveTrack(track=crossing.number))
        if not crossing.ended:
            gone = [RemoveDowntrack(downtrack=number) for number in crossing.downtracks]
            crossing.order(crossing.origin, *gone)
        if not crossing.pipe.crossings:
            self._close(frozenset(crossing.pipe.ends))

    def _drop(self, crossing: _Crossing) -> None:
        crossing.pipe.crossings.discard(crossing)
        self._tracks.unwant(crossing.track.track_id, crossing)
        key = crossing.track.track_id, crossing.target.number
        if self._crossings.get(key) is crossing:  # and not one of the same name that followed
            del self._crossings[key]

    # --- pipes -----------------------------------------------------------------------------------

    def _pipe(self, one: Post, other: Post) -> _Pipe:
        """The pipe between two workers, opened if need be."""
        ends = frozenset((one.number, other.number))
        pipe = self._pipes.get(ends)
        if pipe is None:
            pipe = self._pipes[ends] = self._open(one, other)
        return pipe

    def _open(self, one: Post, other: Post) -> _Pipe:
        both = (one, other)
        numbers = {post.number: self._next_number() for post in both}
        key, salt = self._profile.key_length, self._profile.salt_length
        seals = {post.number: (self._entropy(key), self._entropy(salt)) for post in both}
        for here, there in ((one, other), (other, one)):
            local_key, local_salt = seals[here.number]
            remote_key, remote_salt = seals[there.number]
            opened = OpenPipe(
                peer=numbers[here.number],
                local=_own(here)[0],
                remote=_own(there),
                profile=self._profile.iana,
                local_key=local_key,
                local_salt=local_salt,
                remote_key=remote_key,
                remote_salt=remote_salt,
            )
            here.send(numbers[here.number], (opened,))
        return _Pipe(numbers, {post.number: set() for post in both})

    def _break(self, ends: frozenset[int]) -> tuple[int, ...]:
        """Close a pipe whatever crosses it; who was served by it."""
        served: set[int] = set()
        for crossing in tuple(self._pipes[ends].crossings):
            self._drop(crossing)
            served |= crossing.subscribers.keys()
        self._close(ends)
        return tuple(served)

    def _close(self, ends: frozenset[int]) -> None:
        for worker, number in self._pipes.pop(ends).ends.items():
            self._posts[worker].send(number, (ClosePeer(peer=number),))

    def _new_ssrc(self, used: set[int]) -> int:
        while True:
            ssrc = int.from_bytes(self._entropy(4), "big")
            if ssrc and ssrc not in used:
                used.add(ssrc)
                return ssrc


def _own(post: Post) -> tuple[str, int]:
    """Where this machine itself reaches a worker."""
    address, port = post.addresses[0]
    bound = ipaddress.ip_address(address)
    if bound.is_unspecified:
        address = "127.0.0.1" if bound.version == 4 else "::1"
    return address, port
