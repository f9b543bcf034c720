import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ServerError, developmentToken, ownTransports, signallingUrl } from "../src/server.ts";

const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

function answering(status: number, body: string): void {
  globalThis.fetch = async () => new Response(body, { status });
}

async function failure(promise: Promise<unknown>): Promise<ServerError> {
  const error: unknown = await promise.then(() => null, (reason: unknown) => reason);
  assert.ok(error instanceof ServerError);
  return error;
}

test("signalling is where the page came from, encrypted when the page is", () => {
  assert.equal(signallingUrl({ protocol: "https:", host: "calls.example:7880" }), "wss://calls.example:7880");
  assert.equal(signallingUrl({ protocol: "http:", host: "localhost:7880" }), "ws://localhost:7880");
});

test("a problem's detail is what people read, and its title when there is none", async () => {
  answering(400, JSON.stringify({ title: "Malformed", detail: "A room has 1 to 128 characters.", code: "malformed" }));
  const detailed = await failure(developmentToken("", ""));
  assert.deepEqual([detailed.message, detailed.status, detailed.code], ["A room has 1 to 128 characters.", 400, "malformed"]);
  answering(429, JSON.stringify({ title: "Too many joins." }));
  assert.equal((await failure(developmentToken("a", "b"))).message, "Too many joins.");
});

test("an answer that is no problem document still becomes a sentence", async () => {
  answering(502, "<html>Bad gateway</html>");
  assert.equal((await failure(developmentToken("a", "b"))).message, "The server refused this with status 502.");
  answering(200, "not json");
  assert.equal((await failure(developmentToken("a", "b"))).code, "malformed");
});

test("the participant's own record is asked for with its bearer", async () => {
  let seen: string | null = null;
  globalThis.fetch = async (_path, init) => {
    seen = new Headers(init?.headers).get("authorization");
    return new Response(JSON.stringify({ participant: "PA_1", transports: [] }));
  };
  const answer = await ownTransports("secret", new AbortController().signal);
  assert.equal(seen, "Bearer secret");
  assert.deepEqual(answer.transports, []);
});
