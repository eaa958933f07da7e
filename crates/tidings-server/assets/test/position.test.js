import assert from "node:assert/strict";
import { test } from "node:test";

import { Position } from "../position.js";

const at = (offset, epoch = "e1", tag) => ({ epoch, offset, tag });

test("events in a row are new, the same ones again are seen", () => {
  const position = new Position();
  assert.deepEqual([7, 8, 9].map((n) => position.take(at(n))), ["new", "new", "new"]);
  assert.deepEqual([7, 9].map((n) => position.take(at(n))), ["seen", "seen"]);
  assert.deepEqual(position.since, { epoch: "e1", offset: 9 });
});

test("a missing offset is a jump", () => {
  const position = new Position();
  position.take(at(1));
  assert.equal(position.take(at(3)), "jump");
  assert.equal(position.take(at(4)), "new");
});

test("a new epoch is a jump even if its offset is lower", () => {
  const position = new Position();
  position.take(at(100));
  assert.equal(position.take(at(1, "e2")), "jump");
  assert.deepEqual(position.since, { epoch: "e2", offset: 1 });
});

test("an event without a position is always new and moves nothing", () => {
  const position = new Position();
  assert.equal(position.take({}), "new");
  assert.equal(position.since, undefined);
});

test("a tag goes back to the server with the position it belongs to", () => {
  const position = new Position();
  position.take(at(1, "e1", "t1"));
  assert.deepEqual(position.since, { epoch: "e1", offset: 1, tag: "t1" });
  position.take(at(2));
  assert.deepEqual(position.since, { epoch: "e1", offset: 2 });
});

test("settling goes forward within an epoch and anywhere in a new one", () => {
  const position = new Position();
  position.take(at(10));
  position.settle(at(8));
  assert.equal(position.offset, 10);
  position.settle(at(12));
  assert.equal(position.take(at(12)), "seen");
  position.settle(at(3, "e2"));
  assert.equal(position.take(at(4, "e2")), "new");
  position.settle({});
  assert.equal(position.offset, 4);
});
