import assert from "node:assert/strict";
import { test } from "node:test";
import { columns } from "../src/grid.ts";

test("two people stand side by side on a wide page and above each other on a phone", () => {
  assert.equal(columns(2, 1200, 640), 2);
  assert.equal(columns(2, 340, 560), 1);
});

test("three on a wide page are not cut into upright strips", () => {
  assert.equal(columns(3, 1256, 660), 2);
});

test("four make a square, nine a square of three", () => {
  assert.equal(columns(4, 1200, 675), 2);
  assert.equal(columns(9, 1200, 675), 3);
});

test("before the page is measured there is one column", () => {
  assert.equal(columns(5, 0, 0), 1);
  assert.equal(columns(0, 800, 600), 1);
});
