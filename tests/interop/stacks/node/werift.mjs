// werift as a participant: sends a tone and a moving pattern to a WHIP door, or keeps what a WHEP
// door sends.
import { join } from "node:path";
import {
  MediaStreamTrack,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  RtpHeader,
  RtpPacket,
} from "werift";
import { enter, main, say } from "./door.mjs";
import { IvfFile, OggFile, OPUS, VP8, play } from "./media.mjs";

const KEY_INTERVAL_MS = 1000;

await main(async (wish, stay) => {
  const connection = new RTCPeerConnection({
    iceServers: [],
    iceUseIpv6: false,
    iceAdditionalHostAddresses: ["127.0.0.1"],
    codecs: {
      audio: [new RTCRtpCodecParameters({ mimeType: "audio/opus", channels: 2, ...OPUS })],
      video: [
        new RTCRtpCodecParameters({
          mimeType: "video/VP8",
          rtcpFeedback: [{ type: "nack", parameter: "pli" }],
          ...VP8,
        }),
      ],
    },
  });
  const failed = new Promise((resolve) => {
    connection.connectionStateChange.subscribe(async (state) => {
      if (state === "connected") await tell(connection);
      say(state);
      if (state === "failed") resolve();
    });
  });
  const finish = wish.sends ? send(connection, wish) : keep(connection, wish.out);

  await connection.setLocalDescription(await connection.createOffer());
  await gathered(connection);
  const session = await enter(wish.door, wish.token, connection.localDescription.sdp);
  try {
    await connection.setRemoteDescription({ type: "answer", sdp: session.answer });
    await stay(failed);
  } finally {
    await session.leave();
    finish();
    await connection.close();
  }
});

function send(connection, { audio, video }) {
  const tracks = {
    audio: new MediaStreamTrack({ kind: "audio" }),
    video: new MediaStreamTrack({ kind: "video" }),
  };
  for (const track of Object.values(tracks)) connection.addTransceiver(track, { direction: "sendonly" });
  const sequence = { audio: 0, video: 0 };
  return play(audio, video, (kind, { payload, timestamp, marker }) => {
    const { payloadType } = kind === "audio" ? OPUS : VP8;
    const header = { payloadType, timestamp, marker, ssrc: 1, sequenceNumber: sequence[kind]++ & 0xffff };
    tracks[kind].writeRtp(new RtpPacket(new RtpHeader(header), payload));
  });
}

function keep(connection, folder) {
  const sound = new OggFile(join(folder, "audio.ogg"));
  const picture = new IvfFile(join(folder, "video.ivf"));
  for (const kind of ["audio", "video"]) {
    const transceiver = connection.addTransceiver(kind, { direction: "recvonly" });
    transceiver.onTrack.subscribe((track) => {
      say("track", { kind });
      track.onReceiveRtp.subscribe(({ header, payload }) => {
        if (payload.length === 0) return; // padding alone
        if (kind === "audio") sound.write(payload, header.timestamp);
        else picture.write(payload, { ...header, sequence: header.sequenceNumber });
      });
      if (kind === "audio") return;
      setInterval(() => transceiver.receiver.sendRtcpPLI(track.ssrc), KEY_INTERVAL_MS).unref();
    });
  }
  return () => {
    sound.close();
    picture.close();
  };
}

// Says what the transport negotiated, by werift's own statistics.
async function tell(connection) {
  const stats = [...(await connection.getStats()).values()];
  const transport = stats.find(({ type }) => type === "transport");
  say("negotiated", { suite: transport.dtlsCipher, profile: transport.srtpCipher });
}

function gathered(connection) {
  if (connection.iceGatheringState === "complete") return undefined;
  return new Promise((resolve) => {
    connection.iceGatheringStateChange.subscribe((state) => {
      if (state === "complete") resolve();
    });
  });
}
