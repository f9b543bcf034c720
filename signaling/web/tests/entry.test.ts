import assert from "node:assert/strict";
import { test } from "node:test";
import { readEntry, tokenFacts, withoutFragment } from "../src/entry.ts";

function token(claims: unknown): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part(claims)}.c2lnbmF0dXJl`;
}

test("a plain address asks for nothing", () => {
  assert.deepEqual(readEntry("", ""), { room: "", name: "", token: null, raw: false });
});

test("the query names the room and raw capture", () => {
  const entry = readEntry("?room=demo%20room&audio=raw", "");
  assert.equal(entry.room, "demo room");
  assert.equal(entry.raw, true);
  assert.equal(readEntry("?audio=loud", "").raw, false);
});

test("a token is taken from the fragment alone, never from the query", () => {
  assert.equal(readEntry("", "#token=a.b.c").token, "a.b.c");
  assert.equal(readEntry("?token=a.b.c", "").token, null);
  assert.equal(readEntry("", "#token=%20").token, null);
});

test("room and name come from the token before anything beside it", () => {
  const link = `#token=${token({ sub: "ada-1", name: "Ada Ł", video: { room: "vault" } })}&name=Mallory`;
  assert.deepEqual({ ...readEntry("?room=other", link), token: "" }, { room: "vault", name: "Ada Ł", token: "", raw: false });
});

test("the fragment's name serves when the token has none", () => {
  assert.equal(readEntry("", `#name=Ada&token=${token({ video: { room: "vault" } })}`).name, "Ada");
  assert.equal(tokenFacts(token({ sub: "ada-1", video: {} }))?.name, "ada-1");
});

test("what is no token is no facts and no exception", () => {
  for (const hostile of ["", "a", "a.b", "a.%%%.c", `a.${Buffer.from("[1]").toString("base64url")}.c`, "a.bnVsbA.c"]) {
    assert.equal(tokenFacts(hostile), null, hostile);
  }
  assert.deepEqual(tokenFacts(token({ sub: 7, name: {}, video: "x" })), { room: "", name: "" });
});

test("stripping the fragment keeps the rest of the address", () => {
  assert.equal(withoutFragment("/", "?room=demo"), "/?room=demo");
});
