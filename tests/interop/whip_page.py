"""A page that speaks WHIP or WHEP by hand: `fetch` and `RTCPeerConnection`, no library."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np

from tests.browser.driver import Page
from tests.interop.signals import Sight, look
from tests.patience import PATIENCE

WIDTH, HEIGHT = 640, 360  # of what a page publishes

# Offers what it has and takes the answer; ours to keep: the Location.
_POST = """
  await connection.setLocalDescription();
  const answer = await fetch(path, {
    method: "POST",
    body: connection.localDescription.sdp,
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
  });
  const sdp = await answer.text();
  if (answer.status !== 201) throw new Error(`${answer.status} ${sdp}`);
  await connection.setRemoteDescription({ type: "answer", sdp });
  window.place = answer.headers.get("Location");
  return answer.headers.get("ETag");
"""
_VIEW = f"""async (path, token) => {{
  const connection = (window.connection = new RTCPeerConnection());
  connection.ontrack = ({{ track }}) => {{
    const element = document.createElement(track.kind);
    Object.assign(element, {{ autoplay: true, muted: true, srcObject: new MediaStream([track]) }});
    document.body.append(element);
  }};
  for (const kind of ["audio", "video"]) {{
    connection.addTransceiver(kind, {{ direction: "recvonly" }});
  }}
  {_POST}
}}"""
# The pictures of `signals.paint`, drawn by the browser: Firefox has no camera of ours to read from.
_PAINT = f"""(painter) => {{
  const [width, height, cells] = [{WIDTH}, {HEIGHT}, 16];
  const canvas = Object.assign(document.createElement("canvas"), {{ width, height }});
  const context = canvas.getContext("2d");
  const fill = (level, ...area) => {{
    context.fillStyle = `rgb(${{level}} ${{level}} ${{level}})`;
    context.fillRect(...area);
  }};
  let number = 0;
  setInterval(() => {{
    fill(128, 0, 0, width, height);
    const word = (painter << 12) | number % 4096;
    for (let cell = 0; cell < cells; cell += 1) {{
      const level = (word >> (cells - 1 - cell)) & 1 ? 210 : 40;
      fill(level, (cell * width) / cells, 0, width / cells, height / 4);
    }}
    fill(210, ((number % cells) * width) / cells, height / 4, width / cells, height);
    number += 1;
  }}, 50);
  const [track] = canvas.captureStream().getVideoTracks();
  track.contentHint = "detail"; // a size that stays
  return track;
}}"""
_PUBLISH = f"""async (path, token, painter) => {{
  const connection = (window.connection = new RTCPeerConnection());
  const stream = await navigator.mediaDevices.getUserMedia({{
    audio: {{ echoCancellation: false, noiseSuppression: false, autoGainControl: false }},
  }});
  stream.addTrack(({_PAINT})(painter));
  for (const track of stream.getTracks()) {{
    connection.addTransceiver(track, {{ direction: "sendonly", streams: [stream] }});
  }}
  {_POST}
}}"""
_RESTART = """async (token) => {
  const { connection, place } = window;
  const read = (text, name) => text.match(new RegExp(`a=${name}:(.*)`))[1].trim();
  const offer = await connection.createOffer({ iceRestart: true });
  await connection.setLocalDescription(offer);
  const names = ["ice-ufrag", "ice-pwd"];
  const answer = await fetch(place, {
    method: "PATCH",
    body: names.map((name) => `a=${name}:${read(offer.sdp, name)}\\r\\n`).join(""),
    headers: {
      "Content-Type": "application/trickle-ice-sdpfrag",
      "If-Match": "*",
      Authorization: `Bearer ${token}`,
    },
  });
  const fragment = await answer.text();
  if (answer.status !== 200) throw new Error(`${answer.status} ${fragment}`);
  let { sdp } = connection.remoteDescription;
  for (const name of names) {
    sdp = sdp.replace(new RegExp(`a=${name}:.*`, "g"), `a=${name}:${read(fragment, name)}`);
  }
  await connection.setRemoteDescription({ type: "answer", sdp });
  return answer.headers.get("ETag");
}"""
_HANG_UP = """async (token) => {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(window.place, { method: "DELETE", headers });
  return answer.status;
}"""
# Width, height and luma of what the video element shows now.
_PICTURE = """() => {
  const video = document.querySelector("video");
  if (!video || !video.videoWidth) return [0, 0, []];
  const [width, height] = [video.videoWidth, video.videoHeight];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return [width, height, Array.from({ length: width * height }, (_, at) => data[4 * at + 1])];
}"""
_STATE = "() => window.connection.connectionState"


@dataclass
class WhipPage:
    """One tab with one connection."""

    page: Page
    token: str = field(repr=False)

    async def view(self, room: str) -> None:
        await self.page.evaluate(_VIEW, f"/whep/{room}", self.token)

    async def publish(self, room: str, painter: int) -> None:
        """The browser's tone, and pictures of that painter."""
        await self.page.evaluate(_PUBLISH, f"/whip/{room}", self.token, painter)

    async def restart_ice(self) -> str:
        """By the browser's own agent; the new entity-tag."""
        return str(await self.page.evaluate(_RESTART, self.token))

    async def hang_up(self) -> int:
        """The status of DELETE."""
        return int(await self.page.evaluate(_HANG_UP, self.token))

    async def state(self) -> str:
        return str(await self.page.evaluate(_STATE))

    async def sees(self, painter: int, *, pictures: int = 5) -> None:
        """Wait until so many different pictures of that painter were shown."""
        numbers: set[int] = set()
        last: Sight | None = None
        deadline = time.monotonic() + PATIENCE
        while len(numbers) < pictures:
            assert time.monotonic() < deadline, f"painter {painter} was not seen, but {last}"
            width, height, luma = await self.page.evaluate(_PICTURE)
            if width:
                last = look(np.array(luma, np.uint8).reshape(height, width))
                if last.painter == painter:
                    numbers.add(last.number)
            await asyncio.sleep(0.1)
