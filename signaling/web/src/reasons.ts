// Why something did not work, in one sentence for a person.

/** How a call ended. */
export interface Ending {
  readonly title: string;
  readonly sentence: string;
}

const LEFT: Ending = { title: "You left the call", sentence: "Nobody hears or sees you any more." };
const LOST: Ending = {
  title: "The connection was lost",
  sentence: "The server could not be reached for some time. Check your network, then join again.",
};

/** By the name of LiveKit's DisconnectReason. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  CLIENT_INITIATED: LEFT,
  DUPLICATE_IDENTITY: {
    title: "You joined from somewhere else",
    sentence: "The same link was used in another window or device, and the call continues there.",
  },
  SERVER_SHUTDOWN: {
    title: "The server is restarting",
    sentence: "It said goodbye in good order. Join again in a moment.",
  },
  PARTICIPANT_REMOVED: {
    title: "Your access has ended",
    sentence: "Either you were removed from the call or the time of your link has run out.",
  },
  ROOM_DELETED: { title: "The call has ended", sentence: "The room was closed for everybody." },
  ROOM_CLOSED: { title: "The call has ended", sentence: "The room was closed for everybody." },
  STATE_MISMATCH: {
    title: "The call was interrupted",
    sentence: "This page and the server no longer agreed about the call. Joining again starts afresh.",
  },
  JOIN_FAILURE: {
    title: "The call could not be joined",
    sentence: "The media connection was not established in time. A firewall may block UDP to the server.",
  },
  MEDIA_FAILURE: {
    title: "The media connection broke",
    sentence: "Sound and picture no longer reached the server. Check your network, then join again.",
  },
  CONNECTION_TIMEOUT: LOST,
  SIGNAL_CLOSE: LOST,
};

/** What to say when the call is over, by the name of the reason. */
export function ending(reason: string | undefined): Ending {
  return (reason === undefined ? undefined : ENDINGS[reason]) ?? LOST;
}

/** What to say when joining failed. LiveKit prefixes the server's own sentence; it is cut off. */
export function joinSentence(error: unknown): string {
  const name = stringField(error, "name");
  const message = stringField(error, "message");
  if (name === "ServerError" && message !== "") return message;
  const reason = stringField(error, "reasonName");
  const said = /^could not establish signal connection: (.+)$/is.exec(message)?.[1]?.trim();
  if (said !== undefined && !/^(websocket|failed to fetch|networkerror)/i.test(said)) return asSentence(said);
  if (reason === "Timeout" || /timed? ?out/i.test(message)) {
    return "The server did not answer in time. Try again in a moment.";
  }
  if (/\b(pc connection|peer ?connection|publisher connection|ice)\b/i.test(message)) {
    return "The media connection could not be made. A firewall may block UDP to the server.";
  }
  return "The server cannot be reached. Check the network and try again.";
}

export type Device = "microphone" | "camera" | "screen";

/** What to say when a device cannot be used; null when the person simply chose to cancel. */
export function deviceSentence(device: Device, error: unknown): string | null {
  const name = stringField(error, "name");
  const noun = device === "screen" ? "screen" : device;
  if (device === "screen" && (name === "NotAllowedError" || name === "AbortError")) return null;
  switch (name) {
    case "NotAllowedError":
      return `The browser does not allow the ${noun}. Allow it in the address bar, then switch it on again.`;
    case "NotFoundError":
      return `No ${noun} was found.`;
    case "NotReadableError":
      return `The ${noun} is in use by another program.`;
    case "PublishTrackError":
      return `The server does not let you share your ${noun}.`;
    default:
      return `The ${noun} could not be started.`;
  }
}

function stringField(value: unknown, field: string): string {
  if (typeof value !== "object" || value === null) return "";
  const found = (value as Record<string, unknown>)[field];
  return typeof found === "string" ? found : "";
}

function asSentence(words: string): string {
  const short = words.slice(0, 300);
  const capital = short.charAt(0).toUpperCase() + short.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
