// What this browser itself knows of its encrypted connections: getStats() (W3C webrtc-stats,
// RTCTransportStats and RTCCertificateStats), and for a browser that reports no certificates the
// session descriptions, whose fingerprints it has enforced in the handshake (RFC 8122, 8827).

import type { PeerConnection } from "./peerconnections.ts";
import type { Fingerprint } from "./server.ts";

/** One encrypted transport as the browser sees it; null and [] where it does not tell. */
export interface BrowserTransport {
  readonly state: string;
  readonly version: string | null;
  readonly suite: string | null;
  readonly srtp: string | null;
  readonly local: readonly Fingerprint[];
  readonly remote: readonly Fingerprint[];
}

/** RTCTransportStats, of which TypeScript's own types lack some fields. */
interface TransportStats {
  readonly type: string;
  readonly dtlsState?: string;
  readonly tlsVersion?: string;
  readonly dtlsCipher?: string;
  readonly srtpCipher?: string;
  readonly localCertificateId?: string;
  readonly remoteCertificateId?: string;
}

interface CertificateStats {
  readonly fingerprint?: string;
  readonly fingerprintAlgorithm?: string;
}

/** All transports of these connections that have begun their handshake. */
export async function browserTransports(connections: readonly PeerConnection[]): Promise<BrowserTransport[]> {
  const views = await Promise.all(connections.map(ofConnection));
  return views.flat();
}

async function ofConnection(connection: PeerConnection): Promise<BrowserTransport[]> {
  const report = await connection.getStats();
  if (report === undefined) return [];
  const all = new Map<string, unknown>();
  report.forEach((stats: unknown, id: string) => all.set(id, stats));
  const transports = [...all.values()].filter(
    (stats): stats is TransportStats => (stats as TransportStats).type === "transport",
  );
  return transports.map((stats) => ({
    state: stats.dtlsState ?? "unknown",
    version: stats.tlsVersion ?? null,
    suite: stats.dtlsCipher ?? null,
    srtp: stats.srtpCipher ?? null,
    local: certificate(all, stats.localCertificateId) ?? described(connection.getLocalDescription()),
    remote: certificate(all, stats.remoteCertificateId) ?? described(connection.getRemoteDescription()),
  }));
}

function certificate(all: ReadonlyMap<string, unknown>, id: string | undefined): Fingerprint[] | null {
  if (id === undefined) return null;
  const stats = all.get(id) as CertificateStats | undefined;
  if (!stats?.fingerprint || !stats.fingerprintAlgorithm) return null;
  return [{ algorithm: stats.fingerprintAlgorithm, value: stats.fingerprint }];
}

function described(description: RTCSessionDescription | null | undefined): Fingerprint[] {
  return fingerprintsIn(description?.sdp ?? "");
}

/** The distinct `a=fingerprint` lines of a session description (RFC 8122 section 5). */
export function fingerprintsIn(sdp: string): Fingerprint[] {
  const found = new Map<string, Fingerprint>();
  for (const [, algorithm, value] of sdp.matchAll(/^a=fingerprint:(\S+) ([0-9a-f:]+)\s*$/gim)) {
    if (algorithm !== undefined && value !== undefined) found.set(`${algorithm} ${value}`, { algorithm, value });
  }
  return [...found.values()];
}
