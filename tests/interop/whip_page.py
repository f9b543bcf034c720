"""A page that speaks WHIP or WHEP by hand: `fetch` and `RTCPeerConnection`, no library."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np

from tests.browser.driver import Page
from tests.interop.signals import Sight, look

PATIENCE = 40.0  # seconds for something to be seen

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
_PUBLISH = f"""async (path, token) => {{
  const connection = (window.connection = new RTCPeerConnection());
  const stream = await navigator.mediaDevices.getUserMedia({{
    audio: {{ echoCancellation: false, noiseSuppression: false, autoGainControl: false }},
    video: true,
  }});
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

    async def publish(self, room: str) -> None:
        await self.page.evaluate(_PUBLISH, f"/whip/{room}", self.token)

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
