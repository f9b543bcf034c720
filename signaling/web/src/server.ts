// The server's own JSON interface, `/v1/…`. Errors are RFC 9457 problems.

export interface PageConfig {
  readonly version: string;
  readonly policy: string;
  readonly development: boolean;
}

export interface Fingerprint {
  readonly algorithm: string;
  readonly value: string;
}

/** What one transport negotiated, as the server recorded it. */
export interface TransportReport {
  readonly role: "single" | "publisher" | "subscriber";
  readonly state: string;
  readonly policy: string;
  readonly dtls_version: string | null;
  readonly cipher_suite: string | null;
  readonly group: string | null;
  readonly signature: string | null;
  readonly peer_signature: string | null;
  readonly extended_master_secret: boolean | null;
  readonly srtp_profile: string | null;
  readonly local_fingerprint: Fingerprint | null;
  readonly remote_fingerprint: Fingerprint | null;
  /** Of the handshake; 4 when nothing was lost. */
  readonly flights: number | null;
  readonly handshake_ms: number | null;
  /** Unix time in seconds at which the keys were installed. */
  readonly keyed_at: number | null;
  readonly failure: string | null;
}

export interface OwnTransports {
  readonly participant: string;
  readonly transports: readonly TransportReport[];
}

/** The server answered with an error, or not at all (`status` 0). The message is for people. */
export class ServerError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
  ) {
    super(message);
    this.name = "ServerError";
  }
}

export function pageConfig(signal: AbortSignal): Promise<PageConfig> {
  return ask<PageConfig>("/v1/page/config", { signal });
}

/** A token for development servers, which alone mint for anybody who asks. */
export async function developmentToken(room: string, name: string): Promise<string> {
  const answer = await ask<{ token: string }>("/v1/dev/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ room, name }),
  });
  return answer.token;
}

/** What the server recorded of this participant's own transports. */
export function ownTransports(token: string, signal: AbortSignal): Promise<OwnTransports> {
  return ask<OwnTransports>("/v1/me/transport", { headers: { Authorization: `Bearer ${token}` }, signal });
}

/** Where LiveKit's signalling is: the host this page came from. */
export function signallingUrl(location: { readonly protocol: string; readonly host: string }): string {
  return `${location.protocol === "http:" ? "ws:" : "wss:"}//${location.host}`;
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ServerError("The server cannot be reached. Check the network and try again.", 0, "unreachable");
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw problem(response.status, body);
  if (body === null) throw new ServerError("The server's answer cannot be read.", response.status, "malformed");
  return body as T;
}

/** RFC 9457: `detail` explains this occurrence, `title` the kind. */
function problem(status: number, body: unknown): ServerError {
  const fields = (body ?? {}) as { detail?: unknown; title?: unknown; code?: unknown };
  const sentence = [fields.detail, fields.title].find((each) => typeof each === "string" && each !== "");
  const fallback = `The server refused this with status ${status}.`;
  return new ServerError(
    typeof sentence === "string" ? sentence : fallback,
    status,
    typeof fields.code === "string" ? fields.code : "unknown",
  );
}
