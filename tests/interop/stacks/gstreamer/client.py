"""GStreamer's webrtcbin as a participant: sends a tone and a moving pattern to a WHIP door, or
keeps what a WHEP door sends. Runs on the system's Python, which has the bindings.
"""

from __future__ import annotations

import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found]  # the system's Python has it

from tests.interop.stacks.door import ClosedDoorError, Session, Wish, program, say

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import (  # type: ignore[import-not-found]  # as above  # noqa: E402
    GLib,
    Gst,
    GstSdp,
    GstWebRTC,
)

OPUS_FRAMES = "audio/x-opus,rate=48000,channels=2,channel-mapping-family=0"
OPUS = (
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000"
    ",encoding-params=(string)2"
)
VP8 = (
    "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000"
    ",rtcp-fb-nack-pli=true"
)
RECEIVING = "pipeline. ( webrtcbin name=peer bundle-policy=max-bundle )"
SENDING = f"""
webrtcbin name=peer bundle-policy=max-bundle
appsrc name=audio is-live=true format=time caps={OPUS_FRAMES}
  ! rtpopuspay pt=111 ! {OPUS} ! peer.
appsrc name=video is-live=true format=time caps=video/x-vp8
  ! rtpvp8pay pt=96 mtu=1200 ! {VP8} ! peer.
"""
KEEPING = {
    "audio": "rtpopusdepay ! opusdec ! wavenc ! filesink location={folder}/audio.wav",
    "video": "rtpvp8depay ! matroskamux streamable=true ! filesink location={folder}/video.mkv",
}
OPUS_STEP = Gst.SECOND // 50
KEY_INTERVAL_MS = 1000
ONCE, AGAIN = False, True  # what a callback of GLib's main loop returns


class Participant:
    """One pipeline around one webrtcbin, for as long as the main loop runs."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._loop = GLib.MainLoop()
        self._pipeline = Gst.parse_launch(SENDING if wish.sends else RECEIVING)
        self._peer = self._pipeline.get_by_name("peer")
        # libnice leaves loopback out, and pairs no other address with it.
        # The agent is kept: asking for it made its only reference ours.
        self._ice = self._peer.get_property("ice-agent")
        self._ice.emit("add-local-ip-address", "127.0.0.1")
        self._session: Session | None = None
        self._failure: str | None = None
        self._kept: list[Any] = []
        self._clocks: list[Callable[[], bool]] = []

    def run(self) -> None:
        """Stay for the wished time; raises what kept it from connecting."""
        bus = self._pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self._on_error)
        self._peer.connect("notify::connection-state", self._on_state)
        self._peer.connect("notify::ice-gathering-state", self._on_gathering)
        if self._wish.sends:
            for number in range(2):
                self._peer.emit("get-transceiver", number).set_property(
                    "direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
                )
        else:
            for caps in (OPUS, VP8):
                self._peer.emit(
                    "add-transceiver",
                    GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY,
                    Gst.Caps.from_string(caps),
                )
            self._peer.connect("pad-added", self._on_pad)
        GLib.timeout_add(int(self._wish.seconds * 1000), self._loop.quit)
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, self._loop.quit)
        self._pipeline.set_state(Gst.State.PLAYING)
        GLib.idle_add(self._offer)
        try:
            self._loop.run()
        finally:
            if self._session is not None:
                self._session.leave()
            self._close()
        if self._failure is not None:
            raise ConnectionError(self._failure)

    # --- Signalling -----------------------------------------------------------------------------

    def _offer(self) -> bool:
        promise = Gst.Promise.new_with_change_func(self._on_offer)
        self._peer.emit("create-offer", None, promise)
        return ONCE

    def _on_offer(self, promise: Any) -> None:
        reply = promise.get_reply()  # kept until the end: the description is a part of it
        self._peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def _on_gathering(self, peer: Any, _: object) -> None:
        if peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self._enter)

    def _enter(self) -> bool:
        offer = self._peer.get_property("local-description").sdp.as_text()
        try:
            self._session = Session.opened(self._wish.door, self._wish.token, offer)
        except (ClosedDoorError, OSError) as error:
            self._fail(str(error))
            return ONCE
        _, sdp = GstSdp.SDPMessage.new_from_text(self._session.answer)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self._peer.emit("set-remote-description", answer, Gst.Promise.new())
        return ONCE

    def _on_state(self, peer: Any, _: object) -> None:
        state = peer.get_property("connection-state")
        say(state.value_nick)
        if state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            self._fail("the transport failed")
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED and self._wish.sends:
            GLib.idle_add(self._play)

    def _on_error(self, _: Any, message: Any) -> None:
        error, detail = message.parse_error()
        self._fail(f"{error.message} ({detail})")

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        self._loop.quit()

    # --- Sending --------------------------------------------------------------------------------

    def _play(self) -> bool:
        if not self._clocks:
            pictures, pause = _ivf(self._wish.video)
            self._clock("audio", _ogg(self._wish.audio), OPUS_STEP)
            self._clock("video", pictures, pause)
        return ONCE

    def _clock(self, name: str, samples: list[bytes], step: int) -> None:
        """Push a sample every `step` nanoseconds of the pipeline's own time."""
        source = self._pipeline.get_by_name(name)
        started = self._pipeline.get_current_running_time()
        number = 0

        def tick() -> bool:
            nonlocal number
            while started + number * step <= self._pipeline.get_current_running_time():
                buffer = Gst.Buffer.new_wrapped(samples[number % len(samples)])
                buffer.pts = started + number * step
                buffer.duration = step
                source.emit("push-buffer", buffer)
                number += 1
            return AGAIN

        self._clocks.append(tick)
        GLib.timeout_add(5, tick)

    # --- Receiving ------------------------------------------------------------------------------

    def _on_pad(self, _: Any, pad: Any) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        kind = pad.get_current_caps().get_structure(0).get_string("media")
        say("track", kind=kind)
        writer = Gst.parse_bin_from_description(
            "queue ! " + KEEPING[kind].format(folder=self._wish.out), True
        )
        self._pipeline.add(writer)
        writer.sync_state_with_parent()
        pad.link(writer.get_static_pad("sink"))
        self._kept.append(writer)
        if kind == "video":
            GLib.timeout_add(KEY_INTERVAL_MS, self._ask_for_key_frame, pad)

    def _ask_for_key_frame(self, pad: Any) -> bool:
        wanted = Gst.Structure.new_from_string("GstForceKeyUnit, all-headers=(boolean)true")
        pad.send_event(Gst.Event.new_custom(Gst.EventType.CUSTOM_UPSTREAM, wanted))
        return AGAIN

    def _close(self) -> None:
        for writer in self._kept:  # an end of stream, so that the files are finished
            writer.get_static_pad("sink").send_event(Gst.Event.new_eos())
        if self._kept:
            GLib.timeout_add(500, self._loop.quit)
            self._loop.run()
        self._pipeline.set_state(Gst.State.NULL)


def _ogg(path: Path) -> list[bytes]:
    """The packets of an Ogg file without its headers (RFC 3533 section 6)."""
    data, at, parts, packets = path.read_bytes(), 0, b"", []
    while at + 27 <= len(data):
        lacing = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(lacing)
        for length in lacing:
            parts += data[at : at + length]
            at += length
            if length < 255:
                packets.append(parts)
                parts = b""
    return [packet for packet in packets if not packet.startswith(b"Opus")]


def _ivf(path: Path) -> tuple[list[bytes], int]:
    """The frames of an IVF file, and the nanoseconds between two of them."""
    data = path.read_bytes()
    (at,) = struct.unpack_from("<H", data, 6)
    rate, scale = struct.unpack_from("<II", data, 16)
    frames = []
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        frames.append(data[at + 12 : at + 12 + length])
        at += 12 + length
    return frames, Gst.SECOND * scale // rate


if __name__ == "__main__":
    Gst.init(None)
    program(lambda wish: Participant(wish).run())
