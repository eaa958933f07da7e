import assert from "node:assert/strict";
import { test } from "node:test";

import { backoff, closeAdvice } from "../reconnect.js";

test("the wait doubles up to half a minute and half of it is chance", () => {
  assert.deepEqual([0, 1, 2, 5, 6, 7, 1000].map((n) => backoff(n, () => 1)), [500, 1000, 2000, 16000, 30000, 30000, 30000]);
  assert.deepEqual([0, 1, 6].map((n) => backoff(n, () => 0)), [250, 500, 15000]);
});

test("a page comes back after a lost connection and not after a withdrawn right", () => {
  for (const code of [1000, 1001, 1006, 1012, 1013, 4008, 4429]) assert.equal(closeAdvice(code).retry, true, String(code));
  for (const code of [1002, 1007, 1008, 1009, 4401, 4403, 4409]) assert.equal(closeAdvice(code).retry, false, String(code));
});

test("an overloaded server is left alone for a while", () => {
  assert.ok(closeAdvice(1013).atLeastMs >= 5000);
  assert.ok(closeAdvice(4429).atLeastMs >= 5000);
  assert.equal(closeAdvice(1012).atLeastMs, 0);
});

test("every advice has words for the visitor", () => {
  for (const code of [1006, 1012, 4401, 4999]) assert.match(closeAdvice(code).message, /^[A-Z].*\.$/);
});
