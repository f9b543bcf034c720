import assert from "node:assert/strict";
import { test } from "node:test";
import { type BrowserTransport, browserTransports, fingerprintsIn } from "../src/browserview.ts";
import type { TransportReport } from "../src/server.ts";
import { compare, dtlsVersion, sameFingerprint, srtpProfile } from "../src/verdict.ts";

const SERVER = { algorithm: "sha-256", value: "AA:01" };
const BROWSER = { algorithm: "sha-256", value: "BB:02" };
const STRANGER = { algorithm: "sha-256", value: "CC:03" };

const RECORD: TransportReport = {
  role: "single",
  state: "connected",
  policy: "standard",
  dtls_version: "DTLS 1.2",
  cipher_suite: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  group: "X25519",
  signature: "ecdsa_secp256r1_sha256",
  peer_signature: "ecdsa_secp256r1_sha256",
  extended_master_secret: true,
  srtp_profile: "AES128_CM_HMAC_SHA1_80",
  local_fingerprint: SERVER,
  remote_fingerprint: BROWSER,
  flights: 4,
  handshake_ms: 18.2,
  keyed_at: 1_790_000_000,
  failure: null,
};

const VIEW: BrowserTransport = {
  state: "connected",
  version: "FEFD",
  suite: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  srtp: "SRTP_AES128_CM_SHA1_80",
  local: [{ algorithm: "sha-256", value: "bb:02" }],
  remote: [{ algorithm: "SHA-256", value: "aa:01" }],
};

test("the same connection seen from both ends matches, however it is spelt", () => {
  assert.deepEqual(compare([RECORD], [VIEW]), { kind: "match", differences: [] });
});

test("another certificate at either end is a mismatch", () => {
  assert.equal(compare([RECORD], [{ ...VIEW, remote: [STRANGER] }]).kind, "mismatch");
  assert.equal(compare([RECORD], [{ ...VIEW, local: [STRANGER] }]).kind, "mismatch");
});

test("a differing suite, version or profile is named", () => {
  const [sentence] = compare([RECORD], [{ ...VIEW, version: "FEFC" }]).differences;
  assert.equal(sentence, "The DTLS version differs: the server recorded DTLS 1.2, this browser DTLS 1.3.");
  assert.equal(compare([RECORD], [{ ...VIEW, srtp: "AEAD_AES_128_GCM" }]).kind, "mismatch");
  assert.equal(compare([RECORD], [{ ...VIEW, suite: "TLS_NULL" }]).kind, "mismatch");
});

test("what a browser does not tell is not held against the call", () => {
  assert.equal(compare([RECORD], [{ ...VIEW, version: null, suite: null, srtp: null }]).kind, "match");
});

test("without fingerprints of the same hash function nothing is confirmed", () => {
  const sha512 = [{ algorithm: "sha-512", value: "00" }];
  assert.equal(compare([RECORD], [{ ...VIEW, remote: sha512 }]).kind, "unknown");
  assert.equal(compare([RECORD], [{ ...VIEW, local: [] }]).kind, "unknown");
  assert.equal(compare([RECORD], []).kind, "unknown");
});

test("before the handshake there is no verdict", () => {
  assert.equal(compare([], [VIEW]).kind, "pending");
  assert.equal(compare([{ ...RECORD, state: "connecting" }], [VIEW]).kind, "pending");
  assert.equal(compare([RECORD], [{ ...VIEW, state: "connecting" }]).kind, "pending");
});

test("two connections are told apart by their certificates, in any order", () => {
  const second = { ...RECORD, role: "subscriber", remote_fingerprint: STRANGER } as const;
  const views = [{ ...VIEW, local: [STRANGER] }, VIEW];
  assert.equal(compare([RECORD, second], views).kind, "match");
});

test("an encrypted connection the server does not know of is a mismatch", () => {
  assert.equal(compare([RECORD], [VIEW, { ...VIEW, remote: [STRANGER] }]).kind, "mismatch");
});

test("one of several fingerprints is enough, as long as the hash function is the same", () => {
  assert.equal(sameFingerprint(SERVER, [STRANGER, SERVER]), true);
  assert.equal(sameFingerprint(SERVER, [STRANGER]), false);
  assert.equal(sameFingerprint(null, [SERVER]), null);
});

test("browsers' spellings of profiles and versions mean the same", () => {
  for (const spelling of ["AES_CM_128_HMAC_SHA1_80", "SRTP_AES128_CM_SHA1_80", "AES128_CM_HMAC_SHA1_80"]) {
    assert.equal(srtpProfile(spelling), "AES128_CM_HMAC_SHA1_80");
  }
  assert.equal(srtpProfile("SRTP_AEAD_AES_128_GCM"), "AEAD_AES_128_GCM");
  assert.equal(dtlsVersion("fefd"), "DTLS 1.2");
  assert.equal(dtlsVersion("0304"), "0304");
});

test("fingerprints are read from a session description once each", () => {
  const sdp = "v=0\r\na=fingerprint:sha-256 AA:01\r\nm=audio\r\na=fingerprint:sha-256 AA:01\r\na=fingerprint:sha-1 zz\r\n";
  assert.deepEqual(fingerprintsIn(sdp), [SERVER]);
});

test("a browser without certificate statistics is read from its session descriptions", async () => {
  const stats = new Map([["T", { type: "transport", dtlsState: "connected", dtlsCipher: "X" }]]);
  const described = (sdp: string) => ({ sdp }) as RTCSessionDescription;
  const views = await browserTransports([
    {
      getStats: async () => stats as unknown as RTCStatsReport,
      getLocalDescription: () => described("a=fingerprint:sha-256 BB:02\r\n"),
      getRemoteDescription: () => described("a=fingerprint:sha-256 AA:01\r\n"),
    },
  ]);
  const expected = { state: "connected", version: null, suite: "X", srtp: null, local: [BROWSER], remote: [SERVER] };
  assert.deepEqual(views, [expected]);
});

test("certificate statistics go before the session descriptions", async () => {
  const stats = new Map<string, object>([
    ["T", { type: "transport", dtlsState: "connected", localCertificateId: "L", remoteCertificateId: "R" }],
    ["L", { type: "certificate", fingerprint: "BB:02", fingerprintAlgorithm: "sha-256" }],
    ["R", { type: "certificate", fingerprint: "AA:01", fingerprintAlgorithm: "sha-256" }],
  ]);
  const none = () => null;
  const connection = { getStats: async () => stats as unknown as RTCStatsReport, getLocalDescription: none, getRemoteDescription: none };
  const [view] = await browserTransports([connection]);
  assert.deepEqual(view?.local, [BROWSER]);
  assert.deepEqual(view?.remote, [SERVER]);
});
