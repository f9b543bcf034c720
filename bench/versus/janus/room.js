// One person in Janus' video room, by its WebSocket API and plain RTCPeerConnections.
//
// In the address: #{"server": "ws://…", "room": 1, "name": "…", "camera": bool, "microphone": bool}
// What is sent is what livekit-client 2.23 sends by its defaults: the same encodings, bitrates,
// Opus settings and start bitrate. What is received is the largest layer, which is Janus' default;
// Janus itself never chooses a smaller one, it leaves that to applications.

const wish = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const KEEP_ALIVE_MS = 25_000; // Janus forgets a session after 60 s
const SCREENS = "screen of ";

// livekit-client: videoRids, VideoPresets.h180/h360/h720, ScreenSharePresets.h1080fps15. The largest
// comes first, as in Janus' own client: Janus takes it for the largest by its place.
const CAMERA_LAYERS = [
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000, maxFramerate: 30 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 450_000, maxFramerate: 20 },
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 160_000, maxFramerate: 20 },
];
const SCREEN_LAYERS = [
  // Chromium takes a priority from the first one only, for all of them
  { rid: "h", scaleResolutionDownBy: 1, maxBitrate: 2_500_000, maxFramerate: 15, priority: "medium", networkPriority: "medium" },
  { rid: "q", scaleResolutionDownBy: 2, maxBitrate: 625_000, maxFramerate: 15 },
];
const AUDIO_BITRATE = 48_000; // AudioPresets.music
const START_KBIT = 1000; // maxStartBitrateKbps, of a connection set up quickly

window.connections = new Set();
window.inTheCall = () =>
  window.connections.size > 0 && [...window.connections].every((one) => one.connectionState === "connected");

/** A session with Janus: requests out, answers and events in. */
class Session {
  #socket;
  #id;
  #waiting = new Map();
  #handles = new Map();
  #next = 1;

  static async open(url) {
    const session = new Session();
    session.#socket = new WebSocket(url, "janus-protocol");
    session.#socket.onmessage = ({ data }) => session.#take(JSON.parse(data));
    await new Promise((resolve, reject) => {
      session.#socket.onopen = resolve;
      session.#socket.onerror = () => reject(new Error("no Janus there"));
    });
    session.#id = (await session.#ask({ janus: "create" })).data.id;
    setInterval(() => session.#ask({ janus: "keepalive" }), KEEP_ALIVE_MS);
    return session;
  }

  /** A handle of the video room; `onEvent` hears what nobody asked for. */
  async attach(onEvent = () => {}) {
    const { data } = await this.#ask({ janus: "attach", plugin: "janus.plugin.videoroom" });
    this.#handles.set(data.id, onEvent);
    return {
      say: async (body, jsep) => {
        const message = { janus: "message", handle_id: data.id, body, ...(jsep && { jsep }) };
        const answer = await this.#ask(message);
        const told = answer.plugindata.data;
        if (told.error !== undefined) throw new Error(`${told.error_code}: ${told.error}`);
        return { told, jsep: answer.jsep };
      },
    };
  }

  #ask(what) {
    const transaction = String(this.#next++);
    const session = this.#id === undefined ? {} : { session_id: this.#id };
    return new Promise((resolve, reject) => {
      this.#waiting.set(transaction, { resolve, reject, keepalive: what.janus === "keepalive" });
      this.#socket.send(JSON.stringify({ ...what, ...session, transaction }));
    });
  }

  #take(message) {
    const waiting = this.#waiting.get(message.transaction);
    if (message.janus === "ack" && !waiting?.keepalive) return; // the answer itself comes later
    if (waiting !== undefined) {
      this.#waiting.delete(message.transaction);
      if (message.janus === "error") waiting.reject(new Error(message.error.reason));
      else waiting.resolve(message);
    } else if (message.janus === "event") {
      this.#handles.get(message.sender)?.(message.plugindata.data);
    }
  }
}

function connection() {
  const made = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  window.connections.add(made);
  return made;
}

async function gathered(made) {
  while (made.iceGatheringState !== "complete") {
    await new Promise((resolve) => made.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return made.localDescription.toJSON();
}

async function publish(handle, stream, layers) {
  const made = connection();
  for (const track of stream.getTracks()) {
    const sendEncodings = track.kind === "video" ? layers : [{ maxBitrate: AUDIO_BITRATE }];
    const { sender } = made.addTransceiver(track, { direction: "sendonly", sendEncodings, streams: [stream] });
    if (track.kind !== "video") continue;
    const parameters = sender.getParameters();
    parameters.degradationPreference = layers === CAMERA_LAYERS ? "maintain-framerate" : "maintain-resolution";
    await sender.setParameters(parameters);
  }
  await made.setLocalDescription();
  const { jsep } = await handle.say({ request: "publish" }, await gathered(made));
  await made.setRemoteDescription({ type: "answer", sdp: withHints(jsep.sdp) });
}

/** The hints that livekit-client writes into what its server answers. */
function withHints(sdp) {
  return sdp.replace(/a=rtpmap:(\d+) VP8\/90000\r\n/g, (line, type) => `${line}a=fmtp:${type} x-google-start-bitrate=${START_KBIT}\r\n`);
}

async function watch(session, feed) {
  const handle = await session.attach();
  const { told, jsep } = await handle.say({
    request: "join", ptype: "subscriber", room: wish.room, streams: [{ feed: feed.id }],
  });
  const made = connection();
  const video = document.createElement("video");
  Object.assign(video, { autoplay: true, playsInline: true, srcObject: new MediaStream() });
  const screen = feed.display?.startsWith(SCREENS);
  document.querySelector(`[data-testid="${screen ? "screens" : "people"}"]`).append(video);
  made.ontrack = ({ track }) => video.srcObject.addTrack(track);
  await made.setRemoteDescription(jsep);
  await made.setLocalDescription();
  await handle.say({ request: "start" }, await gathered(made));
  return told;
}

async function share(session) {
  const video = { width: { ideal: 1920 }, height: { ideal: 1080 }, frameRate: { ideal: 30 } };
  const stream = await navigator.mediaDevices.getDisplayMedia({ video });
  const handle = await session.attach();
  await handle.say({ request: "join", ptype: "publisher", room: wish.room, display: SCREENS + wish.name });
  await publish(handle, stream, SCREEN_LAYERS);
  document.body.dataset.sharing = "true";
}

async function main() {
  const session = await Session.open(wish.server);
  const seen = new Set();
  const look = ({ publishers }) => {
    for (const feed of publishers ?? []) {
      if (seen.has(feed.id)) continue;
      seen.add(feed.id);
      watch(session, feed).catch(failed);
    }
  };
  const brings = wish.camera || wish.microphone;
  const handle = await session.attach(brings ? () => {} : look);
  const { told } = await handle.say({ request: "join", ptype: "publisher", room: wish.room, display: wish.name });
  if (brings) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: wish.microphone && { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      video: wish.camera && { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
    });
    await publish(handle, stream, CAMERA_LAYERS);
  } else {
    look(told);
  }
  document.querySelector('[data-testid="share"]').onclick = () => share(session).catch(failed);
  document.body.dataset.joined = "true";
}

function failed(error) {
  document.body.dataset.failed = String(error);
  console.error(String(error));
}

main().catch(failed);
