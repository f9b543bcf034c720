// What the address of the page says: `/?room=…&audio=raw#token=…&name=…`.

/** What somebody arrived with. `raw` means capture without echo cancellation, noise suppression
 *  and gain control, for musicians and tests. */
export interface Entry {
  readonly room: string;
  readonly name: string;
  readonly token: string | null;
  readonly raw: boolean;
}

/** What a token says of itself. For display only: the server alone judges it. */
export interface TokenFacts {
  readonly room: string;
  readonly name: string;
}

/** The entry in a query string (`?…`) and a fragment (`#…`). Never throws. */
export function readEntry(query: string, fragment: string): Entry {
  const asked = new URLSearchParams(query);
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const token = given.get("token")?.trim() || null;
  const facts = token === null ? null : tokenFacts(token);
  return {
    room: facts?.room || asked.get("room")?.trim() || "",
    name: facts?.name || given.get("name")?.trim() || "",
    token,
    raw: asked.get("audio") === "raw",
  };
}

/** The same address without its fragment, which may hold a token. */
export function withoutFragment(pathname: string, query: string): string {
  return pathname + query;
}

/** Room and name in a LiveKit token, without verifying it; null when it is not one. */
export function tokenFacts(token: string): TokenFacts | null {
  const payload = token.split(".")[1];
  if (payload === undefined) return null;
  try {
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (!isRecord(claims)) return null;
    const video = isRecord(claims["video"]) ? claims["video"] : {};
    return { room: text(video["room"]), name: text(claims["name"]) || text(claims["sub"]) };
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === "string" ? value.trim() : "";
}
