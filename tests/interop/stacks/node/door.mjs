// A WHIP or WHEP door as its client sees it (RFC 9725), and what the client programs here share.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const TIMEOUT_MS = 20_000;

// Tells the test, with one line of JSON.
export function say(event, fields = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

export function wish() {
  const text = { type: "string" };
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      whip: text, // the door to send to
      whep: text, // the door to receive from
      "token-file": text, // holds the bearer token
      audio: text, // Opus in Ogg, played in a loop
      video: text, // VP8 in IVF, played in a loop
      out: text, // where received files go
      seconds: { type: "string", default: "30" }, // how long to stay
    },
  });
  const sends = positionals[0] === "send";
  if (!sends && positionals[0] !== "receive") throw new Error("usage: send|receive …");
  return {
    ...values,
    sends,
    door: sends ? values.whip : values.whep,
    token: readFileSync(values["token-file"], "utf8").trim(),
    seconds: Number(values.seconds),
  };
}

// Opens a session: { answer, leave() }.
export async function enter(door, token, offer) {
  const authorization = `Bearer ${token}`;
  const response = await fetch(door, {
    method: "POST",
    headers: { authorization, "content-type": "application/sdp" },
    body: offer,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const answer = await response.text();
  if (response.status !== 201) throw new Error(`${response.status}: ${answer}`);
  const url = new URL(response.headers.get("location"), door);
  say("answered");
  return {
    answer,
    async leave() {
      try {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        const left = await fetch(url, { method: "DELETE", headers: { authorization }, signal });
        say("left", { status: String(left.status) });
      } catch (error) {
        say("left", { reason: String(error.cause ?? error) });
      }
    },
  };
}

// Runs `participate(wish, stay)`, where `stay(failed)` ends after the wished seconds, on SIGTERM, or
// with an error as soon as the promise `failed` resolves.
export async function main(participate) {
  const wanted = wish();
  const over = new Promise((resolve) => {
    setTimeout(resolve, wanted.seconds * 1000);
    process.once("SIGTERM", resolve);
  });
  const stay = (failed) =>
    Promise.race([
      over,
      failed.then(() => {
        throw new Error("the transport failed");
      }),
    ]);
  try {
    await participate(wanted, stay);
    say("ended");
    process.exit(0);
  } catch (error) {
    say("failed", { reason: String(error.message ?? error) });
    process.exit(1);
  }
}
