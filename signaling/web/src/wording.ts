// The words of the padlock panel: what a negotiated value means for a person.

import type { TransportReport } from "./server.ts";
import type { Verdict } from "./verdict.ts";

/** The headline and the paragraph under it. */
export interface Summary {
  readonly headline: string;
  readonly sentence: string;
}

export function summary(verdict: Verdict): Summary {
  switch (verdict.kind) {
    case "match":
      return {
        headline: "Encrypted, and it matches this browser",
        sentence:
          "Server and browser name the same two certificates and the same ciphers, so nobody sits between them on this connection.",
      };
    case "mismatch":
      return {
        headline: "Warning: this does not match your browser",
        sentence:
          "Server and browser describe different connections. Somebody may be in between. Say nothing confidential, and tell whoever runs this server.",
      };
    case "pending":
      return {
        headline: "The connection is being set up",
        sentence: "Nothing is sent before its encryption is agreed.",
      };
    case "unknown":
      return {
        headline: "Encrypted; this browser cannot confirm it",
        sentence: "The server's record is below. This browser does not tell enough of its own side to compare.",
      };
  }
}

const SUITES: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "keys agreed afresh for this call, then AES-128-GCM",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "keys agreed afresh for this call, then AES-256-CBC; older, still sound",
};

const PROFILES: Readonly<Record<string, string>> = {
  AEAD_AES_128_GCM: "sound and picture sealed with AES-128-GCM",
  AEAD_AES_256_GCM: "sound and picture sealed with AES-256-GCM",
  AES128_CM_HMAC_SHA1_80: "sound and picture in AES-128 counter mode, each packet signed with 80 bits",
};

const GROUPS: Readonly<Record<string, string>> = {
  X25519: "the curve the keys were agreed on",
  "P-256": "the NIST curve the keys were agreed on",
  "P-384": "the NIST curve the keys were agreed on",
};

/** One line of the panel. */
export interface Fact {
  readonly term: string;
  readonly value: string;
  readonly meaning: string;
}

/** The negotiated facts of one transport, in the order of reading. */
export function facts(report: TransportReport): Fact[] {
  const policy = report.policy;
  return [
    fact("Protocol", report.dtls_version, "the handshake that proves both ends and agrees on keys"),
    fact("Cipher suite", report.cipher_suite, SUITES[report.cipher_suite ?? ""] ?? ""),
    fact("Key agreement", report.group, GROUPS[report.group ?? ""] ?? ""),
    fact("Server's proof", report.signature, "how the server signed its half of the key agreement"),
    fact("Browser's proof", report.peer_signature, "how this browser proved that the certificate is its own"),
    fact("Media", report.srtp_profile, PROFILES[report.srtp_profile ?? ""] ?? ""),
    fact("Bound to handshake", yesNo(report.extended_master_secret), "extended master secret, RFC 7627"),
    fact("Keys in place", since(report.keyed_at), handshake(report)),
    fact("Policy", policy, policy === "strict" ? "only the strongest choice is taken" : "modern choices only"),
  ];
}

/** What one transport is for. */
export function roleTitle(role: TransportReport["role"]): string {
  const titles = { single: "Sound, picture and data", publisher: "What you send", subscriber: "What you receive" };
  return titles[role];
}

export const LIMITS =
  "This protects the way between you and the server. The server itself handles sound and picture in the clear to pass them on, so it must be one you trust.";

function fact(term: string, value: string | null, meaning: string): Fact {
  return { term, value: value ?? "not recorded", meaning: value === null ? "" : meaning };
}

function since(unix: number | null): string | null {
  return unix === null ? null : new Date(unix * 1000).toLocaleTimeString();
}

function handshake({ flights, handshake_ms: took }: TransportReport): string {
  if (flights === null || took === null) return "";
  const again = flights > 4 ? ", some of them because packets were lost" : "";
  return `after a handshake of ${Math.max(1, Math.round(took))} ms in ${flights} flights${again}`;
}

function yesNo(value: boolean | null): string | null {
  return value === null ? null : value ? "yes" : "no";
}
