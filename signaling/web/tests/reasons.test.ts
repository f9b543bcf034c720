import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceSentence, ending, joinSentence } from "../src/reasons.ts";

test("each end of a call has its own words, an unknown one counts as a lost connection", () => {
  assert.equal(ending("CLIENT_INITIATED").title, "You left the call");
  assert.equal(ending("DUPLICATE_IDENTITY").title, "You joined from somewhere else");
  assert.equal(ending("SERVER_SHUTDOWN").title, "The server is restarting");
  assert.equal(ending("NEVER_HEARD_OF").title, "The connection was lost");
  assert.equal(ending(undefined).title, "The connection was lost");
});

test("the server's own sentence is shown without the client's prefix", () => {
  const refused = { name: "ConnectionError", message: "could not establish signal connection: the token has expired" };
  assert.equal(joinSentence(refused), "The token has expired.");
});

test("a network failure is not shown in the browser's words", () => {
  const words = "The server cannot be reached. Check the network and try again.";
  assert.equal(joinSentence({ message: "could not establish signal connection: Failed to fetch" }), words);
  assert.equal(joinSentence(new TypeError("x is undefined")), words);
  assert.equal(joinSentence("nonsense"), words);
});

test("a media connection that fails is told apart from a server that is silent", () => {
  assert.match(joinSentence({ message: "could not establish pc connection" }), /^The media connection/);
  assert.match(joinSentence({ message: "signal connection timed out" }), /^The server did not answer/);
});

test("a problem document's sentence is shown as it is", () => {
  assert.equal(joinSentence({ name: "ServerError", message: "Too many joins from here; wait a moment." }), "Too many joins from here; wait a moment.");
});

test("a device's failure is one sentence, and cancelling a screen choice is none", () => {
  assert.match(deviceSentence("microphone", { name: "NotAllowedError" }) ?? "", /does not allow the microphone/);
  assert.equal(deviceSentence("camera", { name: "NotFoundError" }), "No camera was found.");
  assert.equal(deviceSentence("screen", { name: "NotAllowedError" }), null);
  assert.equal(deviceSentence("camera", undefined), "The camera could not be started.");
});
