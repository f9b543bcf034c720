// libdatachannel as a participant: sends a tone and a moving pattern to a WHIP door, or keeps what a
// WHEP door sends. It carries RTP; packets are made and read here.
import { randomInt } from "node:crypto";
import { join } from "node:path";
import rtc from "node-datachannel";
import { enter, main, say } from "./door.mjs";
import { IvfFile, OggFile, OPUS, VP8, play } from "./media.mjs";

const KEY_INTERVAL_MS = 1000;

await main(async (wish, stay) => {
  const connection = new rtc.PeerConnection("stack", { iceServers: [], disableAutoNegotiation: true });
  const failed = new Promise((resolve) => {
    connection.onStateChange((state) => {
      say(state);
      if (state === "failed") resolve();
    });
  });
  const finish = wish.sends ? send(connection, wish) : keep(connection, wish.out);

  const gathered = new Promise((resolve) => {
    connection.onGatheringStateChange((state) => {
      if (state === "complete") resolve();
    });
  });
  connection.setLocalDescription("offer");
  await gathered;
  const session = await enter(wish.door, wish.token, connection.localDescription().sdp);
  try {
    connection.setRemoteDescription(session.answer, "answer");
    await stay(failed);
  } finally {
    await session.leave();
    finish();
    connection.close();
  }
});

function send(connection, { audio, video }) {
  const ssrc = { audio: randomInt(1, 2 ** 32), video: randomInt(1, 2 ** 32) };
  const tracks = media(connection, "SendOnly", (kind, description) => {
    description.addSSRC(ssrc[kind], "stack", "stack", kind);
  });
  const sequence = { audio: randomInt(2 ** 15), video: randomInt(2 ** 15) };
  return play(audio, video, (kind, { payload, timestamp, marker }) => {
    if (!tracks[kind].isOpen()) return;
    const { payloadType } = kind === "audio" ? OPUS : VP8;
    const header = Buffer.alloc(12); // RFC 3550 section 5.1
    header[0] = 0x80;
    header[1] = payloadType | (marker ? 0x80 : 0);
    header.writeUInt16BE(sequence[kind]++ & 0xffff, 2);
    header.writeUInt32BE(timestamp >>> 0, 4);
    header.writeUInt32BE(ssrc[kind], 8);
    tracks[kind].sendMessageBinary(Buffer.concat([header, payload]));
  });
}

function keep(connection, folder) {
  const sound = new OggFile(join(folder, "audio.ogg"));
  const picture = new IvfFile(join(folder, "video.ivf"));
  const tracks = media(connection, "RecvOnly", () => {});
  for (const [kind, track] of Object.entries(tracks)) {
    track.setMediaHandler(new rtc.RtcpReceivingSession());
    track.onMessage((message) => {
      const packet = parsed(message);
      if (packet === null || packet.payload.length === 0) return; // RTCP, or padding alone
      if (kind === "audio") sound.write(packet.payload, packet.timestamp);
      else picture.write(packet.payload, packet);
    });
  }
  const asking = setInterval(() => {
    if (tracks.video.isOpen()) tracks.video.requestKeyframe();
  }, KEY_INTERVAL_MS);
  return () => {
    clearInterval(asking);
    sound.close();
    picture.close();
  };
}

function media(connection, direction, complete) {
  const sound = new rtc.Audio("audio", direction);
  sound.addOpusCodec(OPUS.payloadType);
  complete("audio", sound);
  const picture = new rtc.Video("video", direction);
  picture.addVP8Codec(VP8.payloadType);
  complete("video", picture);
  return { audio: connection.addTrack(sound), video: connection.addTrack(picture) };
}

// An RTP packet's fields; null for RTCP (RFC 5761 section 4).
function parsed(message) {
  if (message.length < 12 || (message[1] >= 192 && message[1] <= 223)) return null;
  let start = 12 + 4 * (message[0] & 0x0f);
  if (message[0] & 0x10) start += 4 + 4 * message.readUInt16BE(start + 2);
  const padding = message[0] & 0x20 ? message[message.length - 1] : 0;
  return {
    marker: (message[1] & 0x80) !== 0,
    sequence: message.readUInt16BE(2),
    timestamp: message.readUInt32BE(4),
    payload: message.subarray(start, message.length - padding),
  };
}
