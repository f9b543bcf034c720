// Whether the server's record and the browser's own view describe the same encrypted connections.

import type { BrowserTransport } from "./browserview.ts";
import type { Fingerprint, TransportReport } from "./server.ts";

/** `match`: every encrypted connection is known to both sides, and nothing that both tell differs.
 *  `mismatch`: something differs; `differences` says what. `pending`: no connection yet.
 *  `unknown`: the browser does not tell enough to compare. */
export interface Verdict {
  readonly kind: "match" | "mismatch" | "pending" | "unknown";
  readonly differences: readonly string[];
}

const PENDING: Verdict = { kind: "pending", differences: [] };
const UNKNOWN: Verdict = { kind: "unknown", differences: [] };

/** Compares by fingerprints first: they say which connection is which, and who is at its end. */
export function compare(recorded: readonly TransportReport[], seen: readonly BrowserTransport[]): Verdict {
  const here = seen.filter((each) => each.state === "connected" || each.state === "unknown");
  const there = recorded.filter((each) => each.state === "connected");
  if (there.length === 0 || (here.length === 0 && seen.length > 0)) return PENDING;
  if (here.length === 0) return UNKNOWN;

  const differences: string[] = [];
  const unclaimed = new Set(here);
  let unreadable = false;
  for (const record of there) {
    const pairs = [...unclaimed].map((view) => ({ view, same: sameEnds(record, view) }));
    const pair = pairs.find(({ same }) => same === true);
    if (pair !== undefined) {
      unclaimed.delete(pair.view);
      differences.push(...fields(record, pair.view));
    } else if (pairs.some(({ same }) => same === null)) {
      unreadable = true;
    } else {
      differences.push("The server recorded other certificates than this browser sees.");
    }
  }
  if (!unreadable && differences.length === 0 && unclaimed.size > 0) {
    differences.push("This browser has an encrypted connection that the server did not record.");
  }
  if (differences.length > 0) return { kind: "mismatch", differences: [...new Set(differences)] };
  return unreadable ? UNKNOWN : { kind: "match", differences };
}

/** The server's remote end is this browser's local one. Null when either side does not tell. */
function sameEnds(record: TransportReport, view: BrowserTransport): boolean | null {
  const ours = sameFingerprint(record.remote_fingerprint, view.local);
  const theirs = sameFingerprint(record.local_fingerprint, view.remote);
  if (ours === false || theirs === false) return false;
  return ours === null || theirs === null ? null : true;
}

/** Null when there is nothing of the same hash function to compare with (RFC 8122 section 5). */
export function sameFingerprint(one: Fingerprint | null, others: readonly Fingerprint[]): boolean | null {
  if (one === null) return null;
  const comparable = others.filter((each) => each.algorithm.toLowerCase() === one.algorithm.toLowerCase());
  if (comparable.length === 0) return null;
  return comparable.some((each) => hex(each.value) === hex(one.value));
}

function hex(value: string): string {
  return value.replaceAll(":", "").toLowerCase();
}

function fields(record: TransportReport, view: BrowserTransport): string[] {
  const compared: [string, string | null, string | null][] = [
    ["DTLS version", record.dtls_version, view.version && dtlsVersion(view.version)],
    ["cipher suite", record.cipher_suite, view.suite],
    ["SRTP profile", record.srtp_profile && srtpProfile(record.srtp_profile), view.srtp && srtpProfile(view.srtp)],
  ];
  return compared
    .filter(([, there, here]) => there !== null && here !== null && there.toUpperCase() !== here.toUpperCase())
    .map(([field, there, here]) => `The ${field} differs: the server recorded ${there}, this browser ${here}.`);
}

/** RTCTransportStats.tlsVersion is the version's two bytes in hex. */
export function dtlsVersion(reported: string): string {
  const names: Readonly<Record<string, string>> = { FEFF: "DTLS 1.0", FEFD: "DTLS 1.2", FEFC: "DTLS 1.3" };
  return names[reported.toUpperCase()] ?? reported;
}

/** The profile's IANA name without its `SRTP_`; browsers write it in several ways. */
export function srtpProfile(reported: string): string {
  const plain = reported.toUpperCase().replace(/^SRTP_/, "").replace(/^AES_CM_128_/, "AES128_CM_");
  return plain === "AES128_CM_SHA1_80" ? "AES128_CM_HMAC_SHA1_80" : plain;
}
