// What the padlock panel says of a transport.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TransportReport } from "../src/server.ts";
import { facts } from "../src/wording.ts";

const CONNECTED: TransportReport = {
  role: "single",
  state: "connected",
  policy: "standard",
  dtls_version: "DTLS 1.2",
  cipher_suite: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  group: "X25519",
  signature: "ecdsa_secp256r1_sha256",
  peer_signature: "rsa_pss_rsae_sha256",
  extended_master_secret: true,
  srtp_profile: "AEAD_AES_128_GCM",
  local_fingerprint: null,
  remote_fingerprint: null,
  flights: 4,
  handshake_ms: 18.2,
  keyed_at: 1_790_000_000,
  failure: null,
};

function told(report: TransportReport, term: string) {
  return facts(report).find((each) => each.term === term);
}

test("the panel tells how the handshake went", () => {
  const keys = told(CONNECTED, "Keys in place");
  assert.equal(keys?.meaning, "after a handshake of 18 ms in 4 flights");
  assert.match(keys?.value ?? "", /\d/);
  assert.equal(told(CONNECTED, "Browser's proof")?.value, "rsa_pss_rsae_sha256");
});

test("it says when packets were lost on the way", () => {
  assert.match(told({ ...CONNECTED, flights: 6 }, "Keys in place")?.meaning ?? "", /packets were lost/);
});

test("it says of each that it is not recorded before there are keys", () => {
  const bare = { ...CONNECTED, signature: null, flights: null, handshake_ms: null, keyed_at: null };
  for (const term of ["Server's proof", "Keys in place"]) {
    assert.deepEqual(told(bare, term), { term, value: "not recorded", meaning: "" });
  }
});
