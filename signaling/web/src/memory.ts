// What this browser remembers: the name for next time, and the call for a reload.

/** The call this tab is in. Kept in the tab's session only; holds a token only when it came with
 *  the link, since it cannot be asked for again. */
export interface RememberedCall {
  readonly room: string;
  readonly name: string;
  readonly microphone: boolean;
  readonly camera: boolean;
  readonly token: string | null;
}

const NAME = "conclave.name";
const CALL = "conclave.call";
const LINK = "conclave.link";

export function rememberedName(): string {
  return read(() => localStorage.getItem(NAME)) ?? "";
}

export function rememberName(name: string): void {
  write(() => localStorage.setItem(NAME, name));
}

/** The call to join again by itself after a reload, if there is one. */
export function rememberedCall(): RememberedCall | null {
  const text = read(() => sessionStorage.getItem(CALL));
  if (text === null) return null;
  try {
    const call = JSON.parse(text) as RememberedCall;
    return typeof call.room === "string" && typeof call.name === "string" ? call : null;
  } catch {
    return null;
  }
}

export function rememberCall(call: RememberedCall): void {
  write(() => sessionStorage.setItem(CALL, JSON.stringify(call)));
}

export function forgetCall(): void {
  write(() => sessionStorage.removeItem(CALL));
}

/** A link's token, for a reload before joining: the address no longer shows it. */
export function rememberedToken(): string | null {
  return read(() => sessionStorage.getItem(LINK));
}

export function rememberToken(token: string): void {
  write(() => sessionStorage.setItem(LINK, token));
}

// Storage may be switched off altogether; then nothing is remembered.
function read(get: () => string | null): string | null {
  try {
    return get();
  } catch {
    return null;
  }
}

function write(put: () => void): void {
  try {
    put();
  } catch {
    return;
  }
}
