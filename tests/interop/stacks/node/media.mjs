// Opus in Ogg (RFC 7845) and VP8 in IVF, from files into RTP and from RTP into files.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

export const OPUS = { payloadType: 111, clockRate: 48_000, frameMs: 20 };
export const VP8 = { payloadType: 96, clockRate: 90_000 };

const VP8_PART = 1100; // bytes of a frame in one packet: well below any MTU

// The packets of an Ogg file without its headers.
export function readOgg(path) {
  const file = readFileSync(path);
  const packets = [];
  let parts = [];
  for (let at = 0; at + 27 <= file.length; ) {
    const segments = file[at + 26];
    let body = at + 27 + segments;
    for (let i = 0; i < segments; i++) {
      const length = file[at + 27 + i];
      parts.push(file.subarray(body, body + length));
      body += length;
      if (length === 255) continue; // the packet goes on
      const packet = Buffer.concat(parts);
      parts = [];
      if (packet.toString("latin1", 0, 4) !== "Opus") packets.push(packet);
    }
    at = body;
  }
  return packets;
}

// The frames of an IVF file, and how many there are in a second.
export function readIvf(path) {
  const file = readFileSync(path);
  const framesPerSecond = file.readUInt32LE(16) / file.readUInt32LE(20);
  const frames = [];
  for (let at = file.readUInt16LE(6); at + 12 <= file.length; ) {
    const end = at + 12 + file.readUInt32LE(at);
    frames.push(file.subarray(at + 12, end));
    at = end;
  }
  return { frames, framesPerSecond };
}

// Plays both files again and again. `emit` gets each packet's payload and header fields; returns
// what stops it.
export function play(audioPath, videoPath, emit) {
  const sounds = readOgg(audioPath);
  const { frames, framesPerSecond } = readIvf(videoPath);
  const stops = [
    clocked(1000 / OPUS.frameMs, (number) => {
      const payload = sounds[number % sounds.length];
      const timestamp = (number * OPUS.clockRate * OPUS.frameMs) / 1000;
      emit("audio", { payload, timestamp, marker: number === 0 });
    }),
    clocked(framesPerSecond, (number) => {
      const timestamp = Math.round((number * VP8.clockRate) / framesPerSecond);
      for (const packet of packetized(frames[number % frames.length])) emit("video", { ...packet, timestamp });
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

// A VP8 frame as RTP payloads (RFC 7741 section 4.2): one octet of descriptor, S on the first.
function packetized(frame) {
  const packets = [];
  for (let at = 0; at < frame.length; at += VP8_PART) {
    const descriptor = Buffer.of(at === 0 ? 0x10 : 0x00);
    const payload = Buffer.concat([descriptor, frame.subarray(at, at + VP8_PART)]);
    packets.push({ payload, marker: at + VP8_PART >= frame.length });
  }
  return packets;
}

function clocked(perSecond, tick) {
  const start = performance.now();
  let number = 0;
  const timer = setInterval(() => {
    while (number <= ((performance.now() - start) * perSecond) / 1000) tick(number++);
  }, 5);
  return () => clearInterval(timer);
}

// Writes received Opus payloads, one to a page.
export class OggFile {
  #file;
  #page = 0;
  #granule = 0n;
  #first = null;

  constructor(path) {
    this.#file = openSync(path, "w");
    const head = Buffer.alloc(19);
    head.write("OpusHead");
    head[8] = 1; // version
    head[9] = 2; // channels
    head.writeUInt32LE(OPUS.clockRate, 12);
    this.#write(head, 2); // beginning of stream
    const tags = Buffer.alloc(16);
    tags.write("OpusTags");
    this.#write(tags, 0);
  }

  write(payload, timestamp) {
    this.#first ??= timestamp;
    this.#granule = BigInt((timestamp - this.#first) >>> 0);
    this.#write(payload, 0);
  }

  close() {
    closeSync(this.#file);
  }

  #write(packet, flags) {
    const lacing = Buffer.alloc(Math.floor(packet.length / 255) + 1, 255);
    lacing[lacing.length - 1] = packet.length % 255;
    const header = Buffer.alloc(27);
    header.write("OggS");
    header[5] = flags;
    header.writeBigUInt64LE(this.#granule, 6);
    header.writeUInt32LE(1, 14); // serial number
    header.writeUInt32LE(this.#page++, 18);
    header[26] = lacing.length;
    const page = Buffer.concat([header, lacing, packet]);
    page.writeUInt32LE(oggChecksum(page), 22);
    writeSync(this.#file, page);
  }
}

// RFC 3533 section 6: CRC-32 with polynomial 0x04c11db7, neither reflected nor inverted.
function oggChecksum(page) {
  let crc = 0;
  for (const byte of page) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}

// Puts received VP8 payloads together again and writes whole frames, from the first key frame on.
export class IvfFile {
  #file;
  #frames = 0;
  #first = null;
  #parts = [];
  #timestamp = null;
  #next = null;
  #whole = false;

  constructor(path) {
    this.#file = openSync(path, "w");
    const header = Buffer.alloc(32);
    header.write("DKIF");
    header.writeUInt16LE(32, 6);
    header.write("VP80", 8);
    header.writeUInt16LE(640, 12); // only a hint: each key frame says its own size
    header.writeUInt16LE(360, 14);
    header.writeUInt32LE(VP8.clockRate, 16);
    header.writeUInt32LE(1, 20);
    writeSync(this.#file, header);
  }

  write(payload, { sequence, timestamp, marker }) {
    const missing = this.#next !== null && sequence !== this.#next;
    this.#next = (sequence + 1) & 0xffff;
    const { start, body } = described(payload);
    if (start && timestamp !== this.#timestamp) {
      this.#parts = [];
      this.#timestamp = timestamp;
      this.#whole = true;
    } else if (missing) {
      this.#whole = false;
    }
    this.#parts.push(body);
    if (!marker || !this.#whole || timestamp !== this.#timestamp) return;
    const frame = Buffer.concat(this.#parts);
    const isKey = (frame[0] & 1) === 0; // RFC 6386 section 9.1
    if (this.#frames === 0 && !isKey) return;
    this.#first ??= timestamp;
    const header = Buffer.alloc(12);
    header.writeUInt32LE(frame.length);
    header.writeBigUInt64LE(BigInt((timestamp - this.#first) >>> 0), 4);
    writeSync(this.#file, Buffer.concat([header, frame]));
    this.#frames += 1;
  }

  close() {
    closeSync(this.#file);
  }
}

// RFC 7741 section 4.2: X, then I (one or two octets), L, and T or K.
function described(payload) {
  let at = 1;
  if (payload[0] & 0x80) {
    const extension = payload[at++];
    if (extension & 0x80) at += payload[at] & 0x80 ? 2 : 1;
    if (extension & 0x40) at += 1;
    if (extension & 0x30) at += 1;
  }
  return { start: (payload[0] & 0x1f) === 0x10, body: payload.subarray(at) };
}
